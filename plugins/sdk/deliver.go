package sdk

import (
	"context"
	"fmt"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/plugins/sdk/pluginv1"
)

// Deliver hands deliveries to the instance and tells of each what became of it.
func (s *server) Deliver(ctx context.Context, r *pluginv1.DeliverRequest) (*pluginv1.DeliverResponse, error) {
	c, err := capability[Deliverer](s)
	if err != nil {
		return nil, err
	}
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	deliveries := deliveriesFromProto(r.GetDeliveries())
	errs := c.Deliver(ctx, deliveries)
	if len(errs) != 0 && len(errs) != len(deliveries) {
		return nil, toStatus(fault.New(fault.Internal, "the sink gave %d results for %d deliveries", len(errs), len(deliveries)))
	}
	out := &pluginv1.DeliverResponse{Results: make([]*pluginv1.DeliveryResult, len(deliveries))}
	for i := range out.Results {
		out.Results[i] = &pluginv1.DeliveryResult{}
		if len(errs) > 0 && errs[i] != nil {
			out.Results[i].Failure = notDelivered(errs[i])
		}
	}
	return out, nil
}

// notDelivered turns a delivery's error into the protocol's message. Unlike a
// look-up, a delivery that was called off has failed: nobody else reports it.
func notDelivered(err error) *pluginv1.Failure {
	if f := toFailure(err); f != nil {
		return f
	}
	return &pluginv1.Failure{Kind: pluginv1.FailureKind_FAILURE_KIND_UNAVAILABLE, Message: "called off before it was sent"}
}

// Deliver hands deliveries to the plugin. The first result has one error for each
// of them, nil for those that were accepted. The second is the call's own failure:
// it is then unknown which of them were accepted.
func (c *Client) Deliver(ctx context.Context, deliveries []device.Delivery) ([]error, error) {
	if len(deliveries) == 0 {
		return nil, nil
	}
	r, err := c.rpc.Deliver(ctx, &pluginv1.DeliverRequest{Deliveries: deliveriesToProto(deliveries)})
	if err != nil {
		return nil, c.failed(err, "deliver", "")
	}
	if n := len(r.GetResults()); n != len(deliveries) {
		return nil, &fault.Error{
			Kind: fault.BadResponse, Source: c.name, Op: "deliver",
			Message: fmt.Sprintf("%d results for %d deliveries", n, len(deliveries)), Remedy: "the plugin is at fault; see its log",
		}
	}
	errs := make([]error, len(deliveries))
	for i, result := range r.GetResults() {
		if f := result.GetFailure(); f != nil {
			errs[i] = fromFailure(f, c.name, "deliver", deliveries[i].ID)
		}
	}
	return errs, nil
}

func deliveriesToProto(deliveries []device.Delivery) []*pluginv1.Delivery {
	out := make([]*pluginv1.Delivery, len(deliveries))
	for i, d := range deliveries {
		out[i] = &pluginv1.Delivery{Id: valid(d.ID), Kind: valid(d.Kind), Key: valid(d.Key), At: timeToProto(d.At), BodyJson: d.Body}
	}
	return out
}

// deliveriesFromProto keeps every delivery, also one whose body is not JSON: it
// must have its place among the results.
func deliveriesFromProto(in []*pluginv1.Delivery) []device.Delivery {
	out := make([]device.Delivery, len(in))
	for i, p := range in {
		out[i] = device.Delivery{
			ID: p.GetId(), Kind: p.GetKind(), Key: p.GetKey(), At: timeFromProto(p.GetAt()), Body: p.GetBodyJson(),
		}
	}
	return out
}
