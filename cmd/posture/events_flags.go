package main

import (
	"cmp"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/postureproject/posture/adminevent"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/timespan"
)

// eventFlags are the options that choose events, by the parameters of the API
// that they stand for.
type eventFlags struct {
	lists  map[string]*[]string
	single map[string]*string
}

func newEventFlags(cmd *cobra.Command) eventFlags {
	f := eventFlags{lists: map[string]*[]string{}, single: map[string]*string{}}
	one := func(flag, parameter, usage string) {
		f.single[parameter] = cmd.Flags().String(flag, "", usage)
	}
	several := func(flag, parameter, usage string, choices ...string) {
		f.lists[parameter] = cmd.Flags().StringArray(flag, nil, usage+" (may be repeated)")
		completeFlag(cmd, flag, cobra.FixedCompletions(choices, cobra.ShellCompDirectiveNoFileComp))
	}
	one("from", "from", "only what occurred since `TIME`: 2026-03-01T12:00:00Z, or how long ago, such as 24h or 7d")
	one("until", "until", "only what last occurred until `TIME`")
	several("source", "source", "only failures of the source `NAME`")
	several("code", "code", "only failures with the `CODE`, such as source-timeout", adminevent.CodeSourceUnreachable, adminevent.CodeSourceTimeout,
		adminevent.CodeSourceAuthFailed, adminevent.CodeSourceRateLimited, adminevent.CodeSourceBadResponse, adminevent.CodeSubjectNotFound,
		adminevent.CodeSubjectAmbiguous, adminevent.CodeInternalError, adminevent.CodeRunIncomplete)
	several("level", "level", "only the `LEVEL`: error, warning, info, success", "error", "warning", "info", "success")
	several("resource", "resourceName", "only about `WHAT`: an address, a serial number, a source's name")
	several("resource-type", "resourceType", "only about the `TYPE`: User, Device, Data Source, Batch Run",
		adminevent.ResourceUser, adminevent.ResourceDevice, adminevent.ResourceSource, adminevent.ResourceBatchRun)
	several("domain", "domain", "only of the `DOMAIN`: Posture Checks, Data Sources", adminevent.DomainChecks, adminevent.DomainSources)
	one("ad-hoc", "adHoc", "only scans that somebody asked for, or with false only others: `BOOL`")
	completeFlag(cmd, "ad-hoc", cobra.FixedCompletions([]string{"true", "false"}, cobra.ShellCompDirectiveNoFileComp))
	return f
}

// query gives what the options ask for.
func (f eventFlags) query(more url.Values) (adminevent.Query, error) {
	values := url.Values{}
	for name, list := range more {
		values[name] = list
	}
	for parameter, list := range f.lists {
		values[parameter] = *list
	}
	for parameter, value := range f.single {
		if *value == "" {
			continue
		}
		text := *value
		if parameter == "from" || parameter == "until" {
			at, err := moment(text)
			if err != nil {
				return adminevent.Query{}, fault.InvalidField("--"+parameter, text, "is not a time", "write it as 2026-03-01T12:00:00Z, or how long ago it is, such as 24h or 7d")
			}
			text = at.UTC().Format(time.RFC3339Nano)
		}
		values.Set(parameter, text)
	}
	q, err := adminevent.ParseQuery(values)
	return q, asOption(err)
}

// moment reads a time, or how long ago it is. A number needs a unit: one alone
// would pass for a year.
func moment(text string) (time.Time, error) {
	if _, err := strconv.ParseFloat(text, 64); err != nil {
		if ago, err := timespan.Parse(text); err == nil {
			return time.Now().Add(-ago), nil
		}
	}
	return time.Parse(time.RFC3339, text)
}

// asOption names the options of the command line where an error names the API's
// parameters.
func asOption(err error) error {
	var invalid *fault.Error
	if !errors.As(err, &invalid) {
		return err
	}
	options := map[string]string{
		"filter.resourceName": "resource", "filter.resourceType": "resource-type", "filter.adHoc": "ad-hoc",
		"pagination.sortOption.field": "sort",
	}
	named := *invalid
	named.Fields = slices.Clone(invalid.Fields)
	for i, field := range named.Fields {
		named.Fields[i].Name = "--" + cmp.Or(options[field.Name], strings.TrimPrefix(field.Name, "filter."))
	}
	return &named
}
