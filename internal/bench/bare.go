package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// bare is what Posture is compared with: a plain net/http client that makes the
// requests that a scan makes, those at once that Posture makes at once, decodes
// the answers into structs with encoding/json, and does nothing else.
type bare struct {
	http         *http.Client
	jamf, bitfit string
	token        string // bitFit's
	bearer       string // Jamf's header
}

func newBare(ctx context.Context, w world) (*bare, error) {
	b := &bare{
		http: &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConns: 1000, MaxIdleConnsPerHost: 1000}},
		jamf: w.Jamf, bitfit: w.Bitfit,
	}
	b.token, _ = w.Plugins["bitfit"]["BITFIT_API_TOKEN"].(string)
	username, _ := w.Plugins["jamf"]["JAMF_API_USERNAME"].(string)
	password, _ := w.Plugins["jamf"]["JAMF_API_PASSWORD"].(string)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, b.jamf+"/api/v1/auth/token", http.NoBody)
	if err != nil {
		return nil, err
	}
	req.SetBasicAuth(username, password)
	var answer struct{ Token string }
	if _, err := b.do(req, &answer); err != nil {
		return nil, err
	}
	b.bearer = "Bearer " + answer.Token
	return b, nil
}

type bitfitUsers struct {
	Items []struct {
		ID    int64  `json:"id"`
		Email string `json:"email"`
		Name  string `json:"name"`
	} `json:"items"`
	Page, Pages, Total int
}

type bitfitAssets struct {
	Items []struct {
		ID   int64  `json:"id"`
		Name string `json:"name"`
	} `json:"items"`
	Page, Pages, Total int
}

type bitfitLabel struct {
	Label  string `json:"label"`
	Single string `json:"label_single"`
}

type bitfitAsset struct {
	Item listedAsset `json:"item"`
}

type jamfUser struct {
	User struct {
		ID    int64  `json:"id"`
		Name  string `json:"name"`
		Email string `json:"email"`
		Links struct {
			Computers []struct {
				ID   int64  `json:"id"`
				Name string `json:"name"`
			} `json:"computers"`
		} `json:"links"`
	} `json:"user"`
}

// jamfComputer has the parts of a computer's document that Posture reads.
type jamfComputer struct {
	Computer struct {
		General struct {
			ID         int64  `json:"id"`
			Name       string `json:"name"`
			MAC        string `json:"mac_address"`
			AltMAC     string `json:"alt_mac_address"`
			Serial     string `json:"serial_number"`
			UDID       string `json:"udid"`
			Platform   string `json:"platform"`
			ReportDate string `json:"report_date_utc"`
		} `json:"general"`
		Location struct {
			Username string `json:"username"`
			RealName string `json:"realname"`
			Email    string `json:"email_address"`
		} `json:"location"`
		Hardware struct {
			Make      string `json:"make"`
			Model     string `json:"model"`
			OSName    string `json:"os_name"`
			OSVersion string `json:"os_version"`
			OSBuild   string `json:"os_build"`
			Storage   []struct {
				Capacity   int64 `json:"drive_capacity_mb"`
				Partitions []struct {
					Name    string `json:"name"`
					Type    string `json:"type"`
					Status  string `json:"filevault2_status"`
					Percent int64  `json:"filevault2_percent"`
				} `json:"partitions"`
			} `json:"storage"`
		} `json:"hardware"`
		Software struct {
			Updates      []string `json:"available_software_updates"`
			Services     []string `json:"running_services"`
			Applications []struct {
				Name    string `json:"name"`
				Version string `json:"version"`
			} `json:"applications"`
		} `json:"software"`
		Attributes []struct {
			Name  string `json:"name"`
			Type  string `json:"type"`
			Value string `json:"value"`
		} `json:"extension_attributes"`
	} `json:"computer"`
}

// scan makes the requests about one person.
func (b *bare) scan(ctx context.Context, email string) error {
	var (
		group     errgroup.Group
		assets    []bitfitAsset
		computers []jamfComputer
	)
	group.Go(func() (err error) {
		assets, err = b.assetsOf(ctx, email)
		return err
	})
	group.Go(func() (err error) {
		computers, err = b.computersOf(ctx, email)
		return err
	})
	if err := group.Wait(); err != nil {
		return err
	}
	var known []string
	for _, c := range computers {
		known = append(known, c.Computer.General.Serial, c.Computer.General.MAC, c.Computer.General.AltMAC)
		for _, a := range c.Computer.Attributes {
			if a.Name == "Wireless Mac Address" {
				known = append(known, a.Value)
			}
		}
	}
	var serials, macs []string
	for _, a := range assets {
		serials = append(serials, a.Item.Serial)
		for _, field := range a.Item.Fields {
			if field.Name == "mac_address" || field.Name == "alt_mac_address" {
				macs = append(macs, field.Value)
			}
		}
	}
	for _, keys := range []struct {
		path   string
		values []string
	}{{"serialnumber/", serials}, {"macaddress/", macs}} {
		for _, value := range keys.values {
			if slices.Contains(known, value) {
				continue
			}
			group.Go(func() error {
				_, err := b.askJamf(ctx, "computers/"+keys.path+url.PathEscape(value), new(jamfComputer))
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return err
		}
	}
	return nil
}

func (b *bare) assetsOf(ctx context.Context, email string) ([]bitfitAsset, error) {
	var users bitfitUsers
	if err := b.askBitfit(ctx, "users", url.Values{"search": {email}}, &users); err != nil {
		return nil, err
	}
	var assets []bitfitAsset
	for _, user := range users.Items {
		if !strings.EqualFold(user.Email, email) {
			continue
		}
		var list bitfitAssets
		if err := b.askBitfit(ctx, "users/"+strconv.FormatInt(user.ID, 10)+"/assets", url.Values{}, &list); err != nil {
			return nil, err
		}
		assets = make([]bitfitAsset, len(list.Items))
		var group errgroup.Group
		for i, item := range list.Items {
			group.Go(func() error {
				return b.askBitfit(ctx, "assets/"+strconv.FormatInt(item.ID, 10), url.Values{}, &assets[i])
			})
		}
		if err := group.Wait(); err != nil {
			return nil, err
		}
	}
	return assets, nil
}

func (b *bare) computersOf(ctx context.Context, email string) ([]jamfComputer, error) {
	local, _, _ := strings.Cut(email, "@")
	var user jamfUser
	if found, err := b.askJamf(ctx, "users/name/"+url.PathEscape(local), &user); err != nil || !found {
		return nil, err
	}
	computers := make([]jamfComputer, len(user.User.Links.Computers))
	var group errgroup.Group
	for i, c := range user.User.Links.Computers {
		group.Go(func() error {
			_, err := b.askJamf(ctx, "computers/id/"+strconv.FormatInt(c.ID, 10), &computers[i])
			return err
		})
	}
	return computers, group.Wait()
}

func (b *bare) askBitfit(ctx context.Context, path string, query url.Values, out any) error {
	query.Set("api_token", b.token)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.bitfit+path+"?"+query.Encode(), http.NoBody)
	if err != nil {
		return err
	}
	_, err = b.do(req, out)
	return err
}

func (b *bare) askJamf(ctx context.Context, path string, out any) (bool, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.jamf+"/JSSResource/"+path, http.NoBody)
	if err != nil {
		return false, err
	}
	req.Header.Set("Authorization", b.bearer)
	return b.do(req, out)
}

// do sends a request and decodes the answer; 404 is found = false.
func (b *bare) do(req *http.Request, out any) (found bool, err error) {
	req.Header.Set("Accept", "application/json")
	resp, err := b.http.Do(req)
	if err != nil {
		return false, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	switch {
	case err != nil || resp.StatusCode == http.StatusNotFound:
		return false, err
	case resp.StatusCode != http.StatusOK:
		return false, fmt.Errorf("%s answered %s", req.URL.Path, resp.Status)
	}
	return true, json.Unmarshal(body, out)
}
