package rest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/mail"
	"strconv"
	"strings"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/plugins/sdk"
	"github.com/postureproject/posture/sinks/post"
)

// FeedbackName is the feedback sink's name in a configuration.
const FeedbackName = "restful_feedback"

// FeedbackConfig configures the feedback sink.
type FeedbackConfig struct {
	post.Settings
}

// Feedback posts people's answers.
type Feedback struct{ client *post.Client }

// PluginFeedback describes the sink of answers to notifications.
func PluginFeedback() sdk.Plugin {
	return sdk.Definition[FeedbackConfig, *Feedback]{
		Name: FeedbackName, Version: "1.0.0", Summary: "POSTs people's answers to notifications to an HTTP address",
		Accepts: []string{device.DeliverFeedback},
		New: func(_ context.Context, c FeedbackConfig, env sdk.Env) (*Feedback, error) {
			client, err := post.New(FeedbackName, c.Settings, env)
			return &Feedback{client: client}, err
		},
	}
}

// Deliver implements [sdk.Deliverer].
func (s *Feedback) Deliver(ctx context.Context, deliveries []device.Delivery) []error {
	return s.client.Each(ctx, deliveries, func(d device.Delivery) ([]byte, error) {
		if d.Kind != device.DeliverFeedback {
			return nil, fault.InvalidField("kind", d.Kind, "is not for this sink", "")
		}
		var f device.Feedback
		if err := json.Unmarshal(d.Body, &f); err != nil {
			return nil, fault.New(fault.Invalid, "the document is no answer to a notification: %w", err)
		}
		return encode(f)
	})
}

// SendFeedback implements [sdk.FeedbackSender]: it posts one answer at once,
// without the queue. The same answer has the same key when it is sent again.
func (s *Feedback) SendFeedback(ctx context.Context, f device.Feedback) error {
	document, err := encode(f)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(document)
	return s.client.Post(ctx, hex.EncodeToString(sum[:16]), document)
}

// TestConnectivity implements [sdk.ConnectivityTester].
func (s *Feedback) TestConnectivity(ctx context.Context) (string, error) {
	return s.client.TestConnectivity(ctx)
}

// Limits of what somebody may answer, in bytes.
const (
	maxID    = 512
	maxNotes = 16 << 10
	maxText  = 64 << 10
)

// encode checks an answer and gives the document to post.
func encode(f device.Feedback) ([]byte, error) {
	invalid := &fault.Error{Kind: fault.Invalid, Op: "check feedback"}
	add := func(name, reason string) {
		invalid.Fields = append(invalid.Fields, fault.Field{Name: name, Reason: reason})
	}
	if a, err := mail.ParseAddress(f.UserID); err != nil || a.Name != "" || !strings.EqualFold(a.Address, strings.TrimSpace(f.UserID)) {
		add("user_id", "is not an e-mail address")
	}
	if f.ID == "" || len(f.ID) > maxID {
		add("id", "must name a notification, in at most "+strconv.Itoa(maxID)+" bytes")
	}
	if answer := bytes.TrimSpace(f.Feedback); len(answer) == 0 || !json.Valid(answer) || bytes.Equal(answer, []byte("null")) {
		add("feedback", "must be a JSON value")
	} else if len(answer) > maxText {
		add("feedback", "is larger than "+strconv.Itoa(maxText)+" bytes")
	}
	if len(f.Notes) > maxNotes {
		add("notes", "is longer than "+strconv.Itoa(maxNotes)+" bytes")
	}
	if len(invalid.Fields) > 0 {
		return nil, invalid
	}
	return json.Marshal(f)
}
