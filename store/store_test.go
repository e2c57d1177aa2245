package store_test

import (
	"testing"

	"github.com/postureproject/posture/store"
	"github.com/postureproject/posture/store/storetest"
)

func TestOpen_twice(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func(t testing.TB) *store.Store) {
		for range 2 {
			s := open(t)
			if err := s.Ping(t.Context()); err != nil {
				t.Error(err)
			}
			status, err := s.Status(t.Context())
			if err != nil || !status.Current() || status.Bytes <= 0 {
				t.Errorf("status %+v, %v", status, err)
			}
		}
	})
}
