package archtest_test

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/postureproject/posture/"

// root is the module's folder, as seen from this package's.
const root = "../.."

// source is one Go file.
type source struct {
	path    string // from the module's folder
	test    bool
	file    *ast.File
	imports []string // of this module, without its path
	others  []string
}

// pkg is one package of the module.
type pkg struct {
	path  string // without the module's
	name  string
	files []source
}

// packages reads every package of the module, with the files for all operating
// systems.
func packages(t *testing.T) ([]pkg, *token.FileSet) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Name,Dir,GoFiles,CgoFiles,IgnoredGoFiles,TestGoFiles,XTestGoFiles", "./...")
	cmd.Dir = root
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	fset := token.NewFileSet()
	var all []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var listed struct {
			ImportPath, Name, Dir                                        string
			GoFiles, CgoFiles, IgnoredGoFiles, TestGoFiles, XTestGoFiles []string
		}
		if err := dec.Decode(&listed); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		p := pkg{path: strings.TrimPrefix(listed.ImportPath, module), name: listed.Name}
		for _, files := range [][]string{listed.GoFiles, listed.CgoFiles, listed.IgnoredGoFiles, listed.TestGoFiles, listed.XTestGoFiles} {
			for _, name := range files {
				p.files = append(p.files, parse(t, fset, p.path, filepath.Join(listed.Dir, name)))
			}
		}
		all = append(all, p)
	}
	if len(all) == 0 {
		t.Fatal("go list names no package")
	}
	return all, fset
}

func parse(t *testing.T, fset *token.FileSet, folder, path string) source {
	t.Helper()
	file, err := parser.ParseFile(fset, path, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	s := source{path: folder + "/" + filepath.Base(path), test: strings.HasSuffix(path, "_test.go"), file: file}
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		if own, ok := strings.CutPrefix(imported, module); ok {
			s.imports = append(s.imports, own)
		} else {
			s.others = append(s.others, imported)
		}
	}
	return s
}
