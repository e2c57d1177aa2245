package practices

import (
	"github.com/postureproject/posture/device"
)

// settings are one practice's settings, decoded.
type settings struct {
	name              string // the practice's key
	key               string // the finding it judges
	title             map[string]string
	description       string
	directions        map[string]string // by key of a system, or otherwise
	link              string
	display           bool
	missing           device.Status
	platformRequired  bool
	naPlatforms       []string
	okPlatforms       []string
	required          map[string]minimum // by key of a system, or otherwise
	recommended       map[string]minimum
	unsupportedOS     []string
	unsupportedMsg    string
	recommendedMsg    string
	software, service []string
}

// otherwise is the entry for whatever a setting does not list by name.
const otherwise = "default"

// The messages about versions, and the words in them that are filled in.
const (
	defaultUnsupportedMsg = "{os} is no longer supported."
	defaultRecommendedMsg = "The recommended version of {os} is {version}."
)

func newSettings(name string) *settings {
	return &settings{
		name: name, key: name, display: true, missing: device.Nudge,
		unsupportedMsg: defaultUnsupportedMsg, recommendedMsg: defaultRecommendedMsg,
	}
}

// setting is one setting: what the schema says about it, and how it is read.
type setting struct {
	name     string
	doc      string
	schema   object
	fallback any // what holds when no default practice says otherwise; nil when nothing does
	example  any
	read     func(s *settings, in input)
}

// object is a piece of a JSON Schema.
type object = map[string]any

// allSettings lists the settings in the order in which people should see them.
func allSettings() []setting {
	return append(append(textSettings(), statusSettings()...), versionSettings()...)
}

func textSettings() []setting {
	return []setting{
		{
			name: "KEY", doc: "The finding of the sources that this practice judges. The practice's own key unless given.",
			schema: object{"type": "string", "minLength": 1}, example: "encryption",
			read: func(s *settings, in input) { s.key = in.filled() },
		},
		{
			name:   "DISPLAY_TITLE",
			doc:    "The title that people see: one text, or one per status (ok, nudge, warn, na, unknown) with default for the rest.",
			schema: textPer(statusNames()...), example: object{"ok": "Disk encrypted", "default": "Encrypt the disk"},
			read: func(s *settings, in input) { s.title = in.texts(statusKey) },
		},
		{
			name: "DESCRIPTION", doc: "Why the practice matters, in a sentence or two.", schema: object{"type": "string"},
			read: func(s *settings, in input) { s.description = in.text() },
		},
		{
			name: "DIRECTIONS",
			doc: "How to follow the practice, in Markdown: one text, or one per operating system. An operating system is named as in " +
				"REQUIRED_VERSIONS; default holds for the rest.",
			schema: textPer(), example: object{"macOS": "Open **System Settings** …", "default": "Ask the help desk."},
			read: func(s *settings, in input) { s.directions = in.texts(systemKey) },
		},
		{
			name: "LINK", doc: "Where to read more: an http, https or mailto address, or a path on this server.",
			schema: object{"type": "string", "pattern": `^$|^https?://|^mailto:|^/`}, example: "https://help.example.com/encryption",
			read: func(s *settings, in input) { s.link = in.link() },
		},
		{
			name: "DISPLAY", doc: "Whether people see the practice. A hidden one does not count for a device's rating.",
			schema: object{"type": "boolean"}, fallback: true,
			read: func(s *settings, in input) { s.display = in.boolean() },
		},
	}
}

func statusSettings() []setting {
	return []setting{
		{
			name: "STATUS_IF_MISSING",
			doc: "The status of a device that a source found not to follow the practice, or on whose list of software no name matches: " +
				"nudge is a suggestion, warn is critical.",
			schema: object{"type": "string", "enum": anys(statusNames())}, fallback: string(device.Nudge),
			read: func(s *settings, in input) { s.missing = in.status() },
		},
		{
			name:   "PLATFORM_REQUIRED",
			doc:    "Whether the practice does not apply (na) to devices whose platform is not known.",
			schema: object{"type": "boolean"}, fallback: false,
			read: func(s *settings, in input) { s.platformRequired = in.boolean() },
		},
		{
			name: "NA_PLATFORMS", doc: "Platforms to which the practice does not apply: Mac, Windows, Linux, Android, iOS, ChromeOS.",
			schema: texts(), example: []any{"iOS", "Android"},
			read: func(s *settings, in input) { s.naPlatforms = in.list() },
		},
		{
			name: "OK_PLATFORMS", doc: "Platforms on which the practice is always followed, whatever a source says.",
			schema: texts(), example: []any{"ChromeOS"},
			read: func(s *settings, in input) { s.okPlatforms = in.list() },
		},
	}
}

func versionSettings() []setting {
	return []setting{
		{
			name: "REQUIRED_VERSIONS",
			doc: "The version below which a device's status is warn, per operating system: one version, or one for each line of versions that is " +
				"still supported, by the numbers with which the line begins. A line that is older than all of these is no longer supported (warn); " +
				"a version between two lines counts as too old for the newer one; a version newer than all lines is fine. " +
				"The versions are those of the operating system, or of the software when SOFTWARE_NAMES or SERVICE_NAMES is given. " +
				"Operating systems are macOS, iOS, iPadOS (as iOS unless listed), Android, ChromeOS, Windows 11 and so on, Windows (all of them), " +
				"a Linux distribution's name, Linux (all of them); default holds for the rest. Windows versions are builds, such as 10.0.26100. " +
				"Quote versions: as a number, 15.10 is 15.1.",
			schema: versionsPer(), example: object{"macOS": object{"27": "27.0", "26": "26.7"}, "Android": "14"},
			read: func(s *settings, in input) { s.required = in.minimums() },
		},
		{
			name:   "RECOMMENDED_VERSIONS",
			doc:    "The version below which a device's status is nudge; written as REQUIRED_VERSIONS.",
			schema: versionsPer(), example: object{"macOS": object{"27": "27.2", "26": "26.7.2"}},
			read: func(s *settings, in input) { s.recommended = in.minimums() },
		},
		{
			name: "UNSUPPORTED_OS", doc: "Operating systems that are no longer supported in any version (warn).",
			schema: texts(), example: []any{"Windows 10"},
			read: func(s *settings, in input) { s.unsupportedOS = in.list() },
		},
		{
			name: "UNSUPPORTED_MSG", doc: "What the details say about an unsupported system. {os} is its name, {current} the device's version.",
			schema: messageSchema(), fallback: defaultUnsupportedMsg,
			read: func(s *settings, in input) { s.unsupportedMsg = in.message("{os}", "{current}") },
		},
		{
			name:   "RECOMMENDED_MSG",
			doc:    "What the details say about a version that is too old. {os} is the system's name, {version} the version to move to, {current} the device's.",
			schema: messageSchema(), fallback: defaultRecommendedMsg,
			read: func(s *settings, in input) { s.recommendedMsg = in.message("{os}", "{version}", "{current}") },
		},
		{
			name: "SOFTWARE_NAMES",
			doc: "Names of installed software that satisfies the practice, any one of them. They match whole and without case; " +
				"a * at the end matches any ending.",
			schema: texts(), example: []any{"SentinelOne*", "Sentinel Agent"},
			read: func(s *settings, in input) { s.software = in.list() },
		},
		{
			name: "SERVICE_NAMES", doc: "Names of running services that satisfy the practice; written as SOFTWARE_NAMES.",
			schema: texts(), example: []any{"CbDefense"},
			read: func(s *settings, in input) { s.service = in.list() },
		},
	}
}
