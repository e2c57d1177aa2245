package batch_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if dsn := os.Getenv(childDSN); dsn != "" {
		if role := os.Getenv(childRole); role != "" {
			os.Exit(exitCode(fellow(dsn, role)))
		}
		os.Exit(child(dsn))
	}
	goleak.VerifyTestMain(m)
}
