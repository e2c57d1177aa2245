package sdk

import "github.com/postureproject/posture/plugins/sdk/pluginv1"

// capabilityNames lists the names in the order of the protocol's enumeration,
// which starts with "unspecified".
func capabilityNames() [14]Capability {
	return [...]Capability{
		"", CapDevicesByEmail, CapDevicesBySerial, CapDevicesByMAC, CapListDevices, CapListUsers, CapEvents, CapAccounts,
		CapNotifications, CapFeedback, CapTransformDevices, CapTransformEvents, CapTestConnectivity, CapDeliver,
	}
}

func capabilityToProto(c Capability) pluginv1.Capability {
	for i, name := range capabilityNames() {
		if name == c {
			return pluginv1.Capability(i)
		}
	}
	return pluginv1.Capability_CAPABILITY_UNSPECIFIED
}

// capabilityFromProto is false for what a newer plugin may offer beyond what
// this host knows.
func capabilityFromProto(p pluginv1.Capability) (Capability, bool) {
	names := capabilityNames()
	if p <= 0 || int(p) >= len(names) {
		return "", false
	}
	return names[p], true
}
