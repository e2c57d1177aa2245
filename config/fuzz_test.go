package config_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/postureproject/posture/config"
	"github.com/postureproject/posture/fault"
)

func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/*.yaml", "testdata/problems/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	schemas, practices := pluginSchemas(f)
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := config.Parse(filepath.Join(dir, "posture.yaml"), data, []string{"POSTURE_PLUGINS_JAMF_RETRIES=2"}, "jamf")
		if err != nil && fault.KindOf(err) != fault.Invalid {
			t.Fatalf("kind %v of %v", fault.KindOf(err), err)
		}
		if file == nil {
			if err == nil {
				t.Fatal("neither file nor problems")
			}
			return
		}
		_ = file.Check(schemas, practices)
		shown, err := file.Show(schemas, practices)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := config.Parse("shown.yaml", shown, nil); err != nil && fault.KindOf(err) != fault.Invalid {
			t.Fatal(err)
		}
		file.Locate("plugins.jamf.RETRIES")
		settings := file.Settings()
		if settings.DefaultTimeout <= 0 || settings.ScanTimeout <= 0 || settings.StaleAfter <= 0 {
			t.Fatalf("a length of time is missing: %+v", settings)
		}
	})
}
