package adminevent

// hintKey is where a hint holds; an empty part holds for all.
type hintKey struct{ domain, resource, code string }

// hint gives what the table says for exactly a key, or "".
func hint(key hintKey) string {
	switch key {
	case hintKey{"", "", CodeSourceUnreachable}:
		return `- Check that this machine reaches the source: name resolution, routes, firewall, proxy.
- Check the source's address in its plugin's configuration.
- posture connectivity tells at which step it fails.`
	case hintKey{"", "", CodeSourceTimeout}:
		return `- See whether the source is slow or overloaded.
- Check the network path and the proxy: packets that are dropped look like slowness.
- Raise TIMEOUT of the plugin, or scan_timeout when every source is late.`
	case hintKey{"", "", CodeSourceAuthFailed}:
		return `- The credential may have expired, been rotated or revoked: put the new one into the plugin's configuration.
- Check what it may do: Google needs domain-wide delegation and the scopes of the plugin, Jamf a role that reads computers and mobile devices, Duo an integration key of the Admin API, LANDESK a database log-in that may read, bitFit an API token.
- posture connectivity tries it.`
	case hintKey{"", "", CodeSourceRateLimited}:
		return `- The source's quota is used up: see which other programs share it.
- Lower CONCURRENCY of the plugin, or ask the vendor for a higher quota.
- Run the nightly run at another hour.`
	case hintKey{"", "", CodeSourceBadResponse}:
		return `- The source may have been upgraded or changed its format: compare its version with what the plugin supports.
- A proxy or log-in page may stand before it: fetch its address by hand.`
	case hintKey{"", "", CodeSubjectNotFound}:
		return `- Check the spelling, and whether the person goes by another address.
- The device may not be enrolled anywhere.`
	case hintKey{"", "", CodeSubjectAmbiguous}:
		return `- Several records of the source answer to the same key: remove or correct the duplicates there.`
	case hintKey{"", "", CodeInternalError}:
		return `- The log has the cause under the request id of this event.
- Report it together with the version of Posture if it comes again.`
	case hintKey{DomainChecks, ResourceBatchRun, CodeRunIncomplete}:
		return `- posture batch show tells how many people are incomplete, and which lists could not be read.
- The events of the same time tell which sources failed, with what to do about each.
- The next run asks again about those who are missing.`
	case hintKey{DomainChecks, "", ""}:
		return `- Scan the person again with posture scan -v: it tells what each source said.`
	case hintKey{DomainSources, "", ""}:
		return `- posture connectivity tries every source and tells where it fails.`
	case hintKey{}:
		return `- The log tells more about what happened at this time.`
	default:
		return ""
	}
}

// HintFor gives what to do about a failure. It is never empty: where nothing is
// known about the code, it falls back to the domain and at last to the log.
func HintFor(domain, resourceType, code string) string {
	for _, key := range [...]hintKey{
		{domain, resourceType, code},
		{domain, "", code},
		{"", "", code},
		{domain, resourceType, ""},
		{domain, "", ""},
	} {
		if text := hint(key); text != "" {
			return text
		}
	}
	return hint(hintKey{})
}

// withRemedy puts what the failure itself advises before the hint.
func withRemedy(remedy, hint string) string {
	if remedy = Clean(remedy); remedy == "" {
		return hint
	}
	return "- " + remedy + "\n" + hint
}
