package jamf

import (
	"context"
	"fmt"
	"strconv"

	"github.com/postureproject/posture/fault"
)

// TestConnectivity logs in, asks who that is, and asks once for each of what the
// look-ups need.
func (s *Source) TestConnectivity(ctx context.Context) (string, error) {
	g, _, err := s.api.auth.grant(ctx)
	if err != nil {
		return "", err
	}
	if err := s.whoAmI(ctx, g); err != nil {
		return "", err
	}
	// Nobody and nothing has these names; "not found" shows that one may ask.
	for _, probe := range [...]struct{ path, op string }{
		{"/JSSResource/users/name/posture-connectivity-test", "read users"},
		{"/JSSResource/computers/serialnumber/posture-connectivity-test", "read computers"},
	} {
		if _, err := s.api.get(ctx, probe.path, probe.op, ""); err != nil && !fault.IsNotFound(err) {
			return "", err
		}
	}
	bulk, err := s.bulkInterface(ctx, g)
	if err != nil {
		return "", err
	}
	by := "with a token"
	if g.basic {
		by = "with its password, as the server has no tokens"
	}
	return fmt.Sprintf("Jamf Pro at %s as %s %s; lists computers through %s", s.api.base, g.who, by, bulk), nil
}

// whoAmI asks for the account's own details, of the older interface where there
// is no newer one.
func (s *Source) whoAmI(ctx context.Context, g *grant) error {
	const op = "ask who is logged in"
	var err error
	if !g.basic {
		if _, err = s.api.get(ctx, "/api/v1/auth", op, ""); !fault.IsNotFound(err) {
			return err
		}
	}
	_, err = s.api.get(ctx, "/JSSResource/jssuser", op, "")
	if fault.IsNotFound(err) {
		return nil // withdrawn from newer servers; the questions that follow decide
	}
	return err
}

// bulkInterface tells through what a listing would go.
func (s *Source) bulkInterface(ctx context.Context, g *grant) (string, error) {
	if !g.basic {
		for version := newestInventory; version >= oldestInventory; version-- {
			v := strconv.Itoa(version)
			_, err := s.api.get(ctx, "/api/v"+v+"/computers-inventory?page=0&page-size=1&section=GENERAL", opList, "")
			if err == nil {
				return "computers-inventory v" + v, nil
			}
			if !fault.IsNotFound(err) {
				return "", err
			}
		}
	}
	return "the Classic API", nil
}
