package sdk

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/grpc"

	"github.com/postureproject/posture/journal"
	"github.com/postureproject/posture/plugins/sdk/pluginv1"
)

// What a plugin keeps in the host's store. A plugin whose [Definition] asks for
// a journal gets it in [Env]. Package journal has the rules and the limits.
type (
	// Journal is what one plugin keeps.
	Journal = journal.Journal
	// JournalRecord is one entry of a log.
	JournalRecord = journal.Record
	// JournalProgress says how far a log has got.
	JournalProgress = journal.Progress
	// JournalBatch is what is appended at once.
	JournalBatch = journal.Batch
	// JournalAppended tells what an append did.
	JournalAppended = journal.Appended
	// JournalQuery says which records are wanted.
	JournalQuery = journal.Query
	// JournalPage is an answer, or a part of it.
	JournalPage = journal.Page
)

// journalCalls is how many calls of one plugin the host works on at once.
const journalCalls = 32

// NewJournalServer gives a server of one plugin's journal; the host makes one for
// each process. The caller gives it a listener, and stops it.
func NewJournalServer(j Journal, logger *slog.Logger, options ...grpc.ServerOption) *grpc.Server {
	options = append(options, serverOptions(logger)...)
	s := grpc.NewServer(append(options, grpc.MaxConcurrentStreams(journalCalls), grpc.WaitForHandlers(true))...)
	pluginv1.RegisterJournalServiceServer(s, journalServer{journal: j})
	return s
}

// journalServer translates the plugin's calls and the journal's errors.
type journalServer struct {
	pluginv1.UnimplementedJournalServiceServer
	journal Journal
}

func (s journalServer) Append(ctx context.Context, r *pluginv1.AppendRequest) (*pluginv1.AppendResponse, error) {
	b := journal.Batch{Records: make([]journal.Record, len(r.GetRecords()))}
	for i, p := range r.GetRecords() {
		b.Records[i] = journal.Record{ID: p.GetId(), At: timeFromProto(p.GetAt()), Keys: p.GetKeys(), Body: p.GetBody()}
	}
	if p := r.GetProgress(); p != nil {
		b.Progress = &journal.Progress{Document: p.GetDocument(), Version: p.GetVersion()}
	}
	done, err := s.journal.Append(ctx, r.GetLog(), b)
	if err != nil {
		return nil, toStatus(err)
	}
	return &pluginv1.AppendResponse{Added: int32(min(done.Added, journal.MaxRecords)), Version: done.Version}, nil
}

func (s journalServer) GetProgress(ctx context.Context, r *pluginv1.GetProgressRequest) (*pluginv1.GetProgressResponse, error) {
	p, err := s.journal.Progress(ctx, r.GetLog())
	if err != nil {
		return nil, toStatus(err)
	}
	return &pluginv1.GetProgressResponse{Progress: &pluginv1.Progress{Document: p.Document, Version: p.Version}}, nil
}

func (s journalServer) Find(ctx context.Context, r *pluginv1.FindRequest) (*pluginv1.FindResponse, error) {
	page, err := s.journal.Find(ctx, r.GetLog(), journal.Query{Keys: r.GetKeys(), Limit: int(r.GetLimit()), After: r.GetAfter()})
	if err != nil {
		return nil, toStatus(err)
	}
	out := &pluginv1.FindResponse{Records: make([]*pluginv1.Record, len(page.Records)), Next: page.Next}
	for i, record := range page.Records {
		out.Records[i] = &pluginv1.Record{Id: record.ID, At: timeToProto(record.At), Body: record.Body}
	}
	return out, nil
}

func (s journalServer) Has(ctx context.Context, r *pluginv1.HasRequest) (*pluginv1.HasResponse, error) {
	has, err := s.journal.Has(ctx, r.GetLog(), r.GetKey())
	if err != nil {
		return nil, toStatus(err)
	}
	return &pluginv1.HasResponse{Has: has}, nil
}

func (s journalServer) Newest(ctx context.Context, r *pluginv1.NewestRequest) (*pluginv1.NewestResponse, error) {
	at, err := s.journal.Newest(ctx, r.GetLog(), timeFromProto(r.GetUpTo()))
	if err != nil {
		return nil, toStatus(err)
	}
	return &pluginv1.NewestResponse{At: timeToProto(at)}, nil
}

func (s journalServer) Prune(ctx context.Context, r *pluginv1.PruneRequest) (*pluginv1.PruneResponse, error) {
	removed, err := s.journal.Prune(ctx, r.GetLog(), timeFromProto(r.GetBefore()))
	if err != nil {
		return nil, toStatus(err)
	}
	return &pluginv1.PruneResponse{Removed: int32(min(removed, journal.MaxRecords))}, nil
}

// openJournal gives the journal that the host serves under an id; one that says
// so when there is none.
func (s *server) openJournal(id uint32) (Journal, error) {
	if id == 0 || s.dial == nil {
		return journal.None{}, nil
	}
	conn, err := s.dial(id)
	if err != nil {
		return nil, fmt.Errorf("reach the host's journal: %w", err)
	}
	s.journal = conn
	return journalClient{rpc: pluginv1.NewJournalServiceClient(conn)}, nil
}

// dialer reaches what the host serves under an id.
type dialer func(id uint32) (*grpc.ClientConn, error)

// ServerOption changes how [NewServer] serves a plugin.
type ServerOption func(*server)

// WithJournalAt has the plugin reach its journal by dial instead of by
// go-plugin's broker. The plugin closes the connection.
func WithJournalAt(dial func(id uint32) (*grpc.ClientConn, error)) ServerOption {
	return func(s *server) { s.dial = dial }
}

// journalTime bounds the calls of callers that have no time limit of their own.
const journalTime = 30 * time.Second
