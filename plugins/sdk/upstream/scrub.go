package upstream

import (
	"errors"
	"net/url"
)

// withoutURL gives the error below the *url.Errors that net/http wraps around
// it, as their text shows the whole URL.
func withoutURL(err error) error {
	var u *url.Error
	for errors.As(err, &u) {
		err = u.Err
	}
	return err
}
