package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/outbox"
	"github.com/postureproject/posture/store"
)

// queue puts documents into an outbox: queue DSN SINK N DEAD, of which so many
// have been set aside.
func queue(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: queue DSN SINK N DEAD")
	}
	n, err := strconv.Atoi(args[2])
	ts.Check(err)
	dead, err := strconv.Atoi(args[3])
	ts.Check(err)
	ctx := context.Background()
	s, err := store.Open(ctx, store.Options{DSN: args[0]})
	ts.Check(err)
	defer func() { ts.Check(s.Close()) }()
	ds := make([]device.Delivery, n)
	for i := range ds {
		ds[i] = device.Delivery{ID: fmt.Sprintf("run1/%d", i), Kind: device.DeliverDevice, Body: json.RawMessage(`{"name":"laptop"}`)}
	}
	ts.Check(s.EnqueueDeliveries(ctx, args[1], ds))
	entries, err := s.WaitingDeliveries(ctx, args[1], 0, dead)
	ts.Check(err)
	results := make([]outbox.Result, len(entries))
	for i, e := range entries {
		results[i] = outbox.Result{Number: e.Number, Err: fault.New(fault.Invalid, "mapping\x1b[31m refuses the field os"), Dead: true}
	}
	ts.Check(s.SettleDeliveries(ctx, results))
}
