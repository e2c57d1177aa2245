// Package rest has the sinks that post documents to an HTTP address of the
// company's own: batch_restful_summary, which tells of the devices of a finished
// run, and restful_feedback, which passes on people's answers to notifications.
package rest
