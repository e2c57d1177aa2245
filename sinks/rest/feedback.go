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

// Feedback posts people's answers.
type Feedback struct{ *post.Sink }

// PluginFeedback describes the sink of answers to notifications.
func PluginFeedback() sdk.Plugin {
	return post.PluginOf(FeedbackName, "POSTs people's answers to notifications to an HTTP address", device.DeliverFeedback, answer,
		func(s *post.Sink) *Feedback { return &Feedback{s} })
}

// answer gives the document of a queued answer.
func answer(d device.Delivery) ([]byte, error) {
	var f device.Feedback
	if err := json.Unmarshal(d.Body, &f); err != nil {
		return nil, fault.New(fault.Invalid, "the document is no answer to a notification: %w", err)
	}
	return encode(f)
}

// SendFeedback implements [sdk.FeedbackSender]: it posts one answer at once,
// without the queue. The same answer has the same key when it is sent again.
func (s *Feedback) SendFeedback(ctx context.Context, f device.Feedback) error {
	document, err := encode(f)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(document)
	return s.Post(ctx, hex.EncodeToString(sum[:16]), document)
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
