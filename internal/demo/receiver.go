package main

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// receiver is the company's service for what Posture POSTs. It adds each document
// to a file, one a line: summaries of runs and people's feedback.
type receiver struct {
	folder string
	mu     sync.Mutex
}

// startReceiver listens on a free loopback port.
func startReceiver(folder string) (url string, stop func(), err error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	r := &receiver{folder: folder}
	mux := http.NewServeMux()
	mux.Handle("POST /summary", r.into("summaries.jsonl"))
	mux.Handle("POST /feedback", r.into("feedback.jsonl"))
	mux.HandleFunc("HEAD /", func(http.ResponseWriter, *http.Request) {})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) }) // until it is closed
	return "http://" + listener.Addr().String(), func() {
		_ = server.Close()
		serving.Wait()
	}, nil
}

// maxReceived bounds one document.
const maxReceived = 64 << 20

// into has documents added to a file.
func (r *receiver) into(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxReceived))
		switch {
		case err != nil || !json.Valid(body):
			w.WriteHeader(http.StatusBadRequest)
		case r.add(filepath.Join(r.folder, name), body) != nil:
			w.WriteHeader(http.StatusServiceUnavailable) // it will come again
		default:
			w.WriteHeader(http.StatusNoContent)
		}
	})
}

func (r *receiver) add(path string, document []byte) (err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	_, err = file.Write(append(document, '\n'))
	return err
}
