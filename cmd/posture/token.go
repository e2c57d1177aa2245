package main

import (
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/host"
	"github.com/postureproject/posture/host/auth"
)

// longestToken is for how many days a token can be made, at most: ten years.
const longestToken = 3650

func newToken(env *environment) *cobra.Command {
	var (
		sub  string
		days float64
	)
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Make a bearer token for the API",
		Long: `Print a bearer token for the API, and nothing else. It is signed with
jwt_secret_key; where none is configured, with a key that is kept in state_dir.`,
		Example: `  curl -H "Authorization: Bearer $(posture token)" http://127.0.0.1:5000/api/v1/posture/ada@example.com
  posture token --sub ada@example.com --days-valid-for 7`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if !(days > 0 && days <= longestToken) {
				return fault.InvalidField("--days-valid-for", strconv.FormatFloat(days, 'f', -1, 64), "is out of bounds",
					fmt.Sprintf("write a number of days above 0, and at most %d", longestToken))
			}
			file, err := env.load()
			if err != nil {
				return err
			}
			s := file.Settings()
			key, err := host.KeyFor(s.JWTSecretKey.Reveal(), s.StateDir)
			if err != nil {
				return err
			}
			token, err := auth.Mint(key, sub, time.Duration(days*float64(24*time.Hour)), time.Now())
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(env.stdout, token)
			return err
		},
	}
	cmd.Flags().StringVar(&sub, "sub", auth.Everyone, "whom the token is for: an `ADDRESS`, or * for an administrator")
	cmd.Flags().Float64Var(&days, "days-valid-for", 1, "how many `DAYS` the token is valid")
	return cmd
}
