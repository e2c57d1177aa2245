package bitfit

import (
	"encoding/json"

	"github.com/postureproject/posture/device"
)

// MapJSON maps an asset's document as a look-up of email does, with the API at
// base.
func MapJSON(document []byte, base, email string) (device.Device, error) {
	var item asset
	if err := json.Unmarshal(document, &item); err != nil {
		return device.Device{}, err
	}
	u, err := parseBase(base)
	if err != nil {
		return device.Device{}, err
	}
	a := &api{base: u, token: "t0ken"}
	return mapAsset(&item, a.photoURL, email), nil
}

// DecodeUsers reads a page of people and gives their addresses.
func DecodeUsers(document []byte) ([]string, error) {
	var page pageOf[user]
	if err := json.Unmarshal(document, &page); err != nil {
		return nil, err
	}
	emails := make([]string, 0, len(page.Items))
	for _, u := range page.Items {
		emails = append(emails, string(u.Email))
	}
	return emails, nil
}
