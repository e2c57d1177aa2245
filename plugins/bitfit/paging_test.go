package bitfit_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/plugins/bitfit"
	"github.com/postureproject/posture/plugins/sdk/sdktest"
)

// people gives the JSON of n people from the first.
func people(first, n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf(`{"id":%d,"email":"p%d@example.com"}`, first+i, first+i)
	}
	return strings.Join(all, ",")
}

func TestPaging(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		page     func(n int) string
		want     int
		requests int
		err      string
	}{
		"bare list":        {func(int) string { return `[` + people(0, 3) + `]` }, 3, 1, ""},
		"null list":        {func(int) string { return `{"items":null}` }, 0, 1, ""},
		"short, no word":   {func(int) string { return `{"items":[` + people(0, 3) + `]}` }, 3, 1, ""},
		"same page always": {func(int) string { return `{"items":[` + people(0, 20) + `]}` }, 20, 2, ""},
		"pages as text": {
			func(n int) string { return fmt.Sprintf(`{"items":[%s],"pages":"3"}`, people(n*5, 5)) }, 15, 3, "",
		},
		"total in meta": {
			func(n int) string { return fmt.Sprintf(`{"items":[%s],"meta":{"total":12}}`, people(n*5, 5)) }, 15, 3, "",
		},
		"next page": {
			func(n int) string {
				next := "null"
				if n < 3 {
					next = strconv.Itoa(n + 1)
				}
				return fmt.Sprintf(`{"items":[%s],"pagination":{"next_page":%s}}`, people(n*5, 5), next)
			}, 15, 3, "",
		},
		"overlapping": {
			func(n int) string { return fmt.Sprintf(`{"items":[%s],"pages":3}`, people(n*5, 8)) }, 18, 3, "",
		},
		"announced but repeated": {
			func(int) string { return `{"items":[` + people(0, 5) + `],"pages":9}` }, 5, 2, "repeats",
		},
		"announced but empty": {
			func(n int) string {
				if n > 1 {
					return `{"items":[],"pages":9}`
				}
				return `{"items":[` + people(0, 5) + `],"pages":9}`
			}, 5, 2, "announced",
		},
		"entries of other types": {func(int) string { return `{"items":[null,1,"x",[],` + people(0, 2) + `,{"id":{}}]}` }, 2, 1, ""},
		"no list":                {func(int) string { return `{"error":"maintenance"}` }, 0, 1, "no list"},
		"a text":                 {func(int) string { return `"welcome"` }, 0, 1, "holds no list"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requests := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				requests++
				n := 1
				if p := r.URL.Query().Get("page"); p != "" {
					n, _ = strconv.Atoi(p)
				}
				_, _ = fmt.Fprint(w, tt.page(n))
			}))
			t.Cleanup(server.Close)
			client := sdktest.Open(t, bitfit.Plugin(), map[string]any{"BITFIT_API_TOKEN": token, "BITFIT_BASE_URL": server.URL})
			got := 0
			err := client.ListUsers(t.Context(), 1e10, func(u []device.User) error {
				got += len(u)
				return nil
			})
			if got != tt.want || requests != tt.requests {
				t.Errorf("got %d people with %d requests, want %d with %d", got, requests, tt.want, tt.requests)
			}
			if tt.err == "" && err != nil {
				t.Errorf("unexpected error: %v", err)
			} else if tt.err != "" {
				checkError(t, err, fault.BadResponse, tt.err)
			}
		})
	}
}
