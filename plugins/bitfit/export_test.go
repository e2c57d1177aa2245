package bitfit

import (
	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/plugins/sdk/jsonscan"
)

// MapJSON maps an asset's document as a look-up of email does, with the API at
// base.
func MapJSON(document []byte, base, email string) (device.Device, error) {
	s := jsonscan.New(document)
	item := readAsset(s)
	if err := s.End(); err != nil {
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
	page, err := readPage(document, readUser)
	if err != nil {
		return nil, err
	}
	emails := make([]string, 0, len(page.items))
	for _, u := range page.items {
		emails = append(emails, u.email)
	}
	return emails, nil
}
