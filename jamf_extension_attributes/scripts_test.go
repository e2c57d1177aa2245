package jamfextensionattributes_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"testing"
)

// macCommands are the programs of macOS that the scripts call. Each has a
// stand-in in every test, which fails unless the case gives it an answer, so that
// nothing of the machine that runs the test shows.
func macCommands() []string {
	return []string{"defaults", "sw_vers", "socketfilterfw", "systemsetup", "launchctl", "sysadminctl", "networksetup", "stat", "id", "dscl", "sudo"}
}

// shells that stand for the sh of different systems; sh itself is always there.
func shells() [][]string {
	all := [][]string{{"sh"}}
	if _, err := exec.LookPath("bash"); err == nil {
		all = append(all, []string{"bash", "--posix"})
	}
	return all
}

// mac is the Mac that a script runs on: command lines and what they print. What
// begins with "2>" goes to standard error. A command line that is not there fails.
type mac map[string]string

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// install writes the stand-ins into a folder.
func (m mac) install(t *testing.T, dir string) {
	t.Helper()
	for _, command := range macCommands() {
		var b strings.Builder
		b.WriteString("#!/bin/sh\n")
		switch command {
		case "sudo": // run as whom it may be, but only as the person
			b.WriteString("[ \"$1 $2\" = '-n -u' ] && [ \"$3\" = ada ] || exit 9\nshift 3\nexec \"$@\"\n")
		case "launchctl":
			b.WriteString("if [ \"$1\" = asuser ]; then [ \"$2\" = 501 ] || exit 9; shift 2; exec \"$@\"; fi\n")
		}
		b.WriteString("case $* in\n")
		lines := make([]string, 0, len(m))
		for line := range m {
			lines = append(lines, line)
		}
		sort.Strings(lines)
		for _, line := range lines {
			name, args, _ := strings.Cut(line, " ")
			if name != command {
				continue
			}
			out, redirect := m[line], ""
			if rest, found := strings.CutPrefix(out, "2>"); found {
				out, redirect = rest, " >&2"
			}
			b.WriteString(quote(args) + ") printf '%s\\n' " + quote(out) + redirect + "; exit 0 ;;\n")
		}
		b.WriteString("esac\necho 'stand-in: no answer' >&2\nexit 1\n")
		if err := os.WriteFile(filepath.Join(dir, command), []byte(b.String()), 0o700); err != nil {
			t.Fatal(err)
		}
	}
}

// run runs a copy of a script whose PATH begins with the stand-ins.
func (m mac) run(t *testing.T, shell []string, script string) string {
	t.Helper()
	dir := t.TempDir()
	m.install(t, dir)
	text, err := os.ReadFile(script)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(text, []byte("\nPATH=/usr/bin:/bin:/usr/sbin:/sbin")); n != 1 {
		t.Fatalf("%d PATH lines, want 1", n)
	}
	text = bytes.Replace(text, []byte("\nPATH="), []byte("\nPATH="+dir+":"), 1)
	file := filepath.Join(dir, "script")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return execute(t, append(shell, file), nil)
}

func execute(t *testing.T, command, env []string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	if env != nil {
		cmd.Env = env
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, &stderr)
	}
	if stderr.Len() > 0 {
		t.Errorf("the script wrote to standard error: %s", &stderr)
	}
	return string(out)
}

const (
	managed = "defaults read /Library/Managed Preferences/"
	local   = "defaults read /Library/Preferences/"
)

type scriptCase struct {
	name string
	mac  mac
	want string
}

func runCases(t *testing.T, script string, cases []scriptCase) {
	t.Helper()
	for _, c := range cases {
		for _, shell := range shells() {
			t.Run(script+"/"+c.name+"/"+shell[0], func(t *testing.T) {
				t.Parallel()
				if got, want := c.mac.run(t, shell, script), "<result>"+c.want+"</result>\n"; got != want {
					t.Errorf("got %q, want %q", got, want)
				}
			})
		}
	}
}

func TestUpdateSettings(t *testing.T) {
	t.Parallel()
	for _, s := range []struct{ script, key, byDefault string }{
		{"1-auto_check_for_updates.sh", "com.apple.SoftwareUpdate AutomaticCheckEnabled", "True"},
		{"2-get_new_updates_in_background.sh", "com.apple.SoftwareUpdate AutomaticDownload", "True"},
		{"3-install_app_updates.sh", "com.apple.commerce AutoUpdate", "False"},
		{"4-install_os_x_updates.sh", "com.apple.SoftwareUpdate AutomaticallyInstallMacOSUpdates", "False"},
		{"5-install_security_updates.sh", "com.apple.SoftwareUpdate CriticalUpdateInstall", "True"},
		{"6-install_system_data_files.sh", "com.apple.SoftwareUpdate ConfigDataInstall", "True"},
	} {
		runCases(t, s.script, []scriptCase{
			{"on", mac{local + s.key: "1"}, "True"},
			{"off", mac{local + s.key: "0"}, "False"},
			{"on as a word", mac{local + s.key: "true"}, "True"},
			{"off as a word", mac{local + s.key: "NO"}, "False"},
			{"not set", mac{}, s.byDefault},
			{"odd value", mac{local + s.key: "{ a = 1; }"}, "Unknown Status"},
			{"profile switches off", mac{managed + s.key: "0", local + s.key: "1"}, "False"},
			{"profile switches on", mac{managed + s.key: "1", local + s.key: "0"}, "True"},
		})
	}
}

func TestInstallAppUpdates_profileKey(t *testing.T) {
	t.Parallel()
	const key = "com.apple.SoftwareUpdate AutomaticallyInstallAppUpdates"
	runCases(t, "3-install_app_updates.sh", []scriptCase{
		{"newer profile key", mac{managed + key: "1", local + "com.apple.commerce AutoUpdate": "0"}, "True"},
		{"newer local key", mac{local + key: "1"}, "True"},
	})
}

func TestInstallOSUpdates_movedKey(t *testing.T) {
	t.Parallel()
	const (
		version = "sw_vers -productVersion"
		before  = local + "com.apple.commerce AutoUpdateRestartRequired"
		since   = local + "com.apple.SoftwareUpdate AutomaticallyInstallMacOSUpdates"
	)
	runCases(t, "4-install_os_x_updates.sh", []scriptCase{
		{"10.9 on", mac{version: "10.9", before: "1"}, "True"},
		{"10.13.6 on", mac{version: "10.13.6", before: "1"}, "True"},
		{"10.13.6 off", mac{version: "10.13.6", before: "0", since: "1"}, "False"},
		{"10.14 has the new key", mac{version: "10.14.1", before: "0", since: "1"}, "True"},
		{"left over from before an upgrade", mac{version: "15.7.1", before: "1"}, "False"},
		{"26 on", mac{version: "26.1", since: "1"}, "True"},
		{"26 by profile", mac{version: "26.1", managed + "com.apple.SoftwareUpdate AutomaticallyInstallMacOSUpdates": "1", since: "0"}, "True"},
	})
}

func TestFirewallStatus(t *testing.T) {
	t.Parallel()
	const tool, file = "socketfilterfw --getglobalstate", local + "com.apple.alf globalstate"
	runCases(t, "firewall_status.sh", []scriptCase{
		{"old on", mac{file: "1"}, "1"},
		{"old strict", mac{file: "2"}, "2"},
		{"old off", mac{file: "0"}, "0"},
		{"new on", mac{tool: "Firewall is enabled. (State = 1)"}, "1"},
		{"new off", mac{tool: "Firewall is disabled. (State = 0)"}, "0"},
		{"new strict", mac{tool: "Firewall is blocking all non-essential incoming connections. (State = 2)"}, "2"},
		{"without a number", mac{tool: "Firewall is enabled."}, "1"},
		{"left-over file", mac{tool: "Firewall is disabled. (State = 0)", file: "1"}, "0"},
		{"neither", mac{}, ""},
		{"odd file", mac{file: "many"}, ""},
	})
}

func TestRemoteLogin(t *testing.T) {
	t.Parallel()
	const (
		setup    = "systemsetup -getremotelogin"
		running  = "launchctl print system/com.openssh.sshd"
		disabled = "launchctl print-disabled system"
		refused  = "setremotelogin: Turning Remote Login on or off requires Full Disk Access privileges."
	)
	overrides := func(entry string) string {
		return "\n\tdisabled services = {\n\t\t\"com.apple.ftpd\" => disabled\n" + entry + "\t}\n\tlogin item associations = {\n\t}"
	}
	runCases(t, "remote_login.sh", []scriptCase{
		{"on", mac{setup: "Remote Login: On"}, "On"},
		{"off", mac{setup: "Remote Login: Off"}, "Off"},
		{"refused, running", mac{setup: refused, running: "com.openssh.sshd = {"}, "On"},
		{"refused, enabled", mac{setup: refused, disabled: overrides("\t\t\"com.openssh.sshd\" => enabled\n")}, "On"},
		{"refused, disabled", mac{setup: refused, disabled: overrides("\t\t\"com.openssh.sshd\" => disabled\n")}, "Off"},
		{"older words, enabled", mac{disabled: overrides("\t\t\"com.openssh.sshd\" => false\n")}, "On"},
		{"older words, disabled", mac{disabled: overrides("\t\t\"com.openssh.sshd\" => true\n")}, "Off"},
		{"never switched on", mac{setup: refused, disabled: overrides("")}, "Off"},
		{"another service with a longer name", mac{disabled: overrides("\t\t\"com.openssh.sshd.custom\" => enabled\n")}, "Off"},
		{"needs an administrator", mac{setup: "You need administrator access to run this tool... exiting!", disabled: overrides("")}, "Off"},
		{"nothing answers", mac{}, "Unknown Status"},
	})
}

func TestScreenSaverLock(t *testing.T) {
	t.Parallel()
	const (
		console = "stat -f %Su /dev/console"
		last    = local + "com.apple.loginwindow lastUserName"
		uid     = "id -u ada"
		home    = "dscl . -read /Users/ada NFSHomeDirectory"
		lock    = "sysadminctl -screenLock status"
		own     = "defaults read /Users/ada/Library/Preferences/com.apple.screensaver askForPassword"
		stamp   = "2>2026-06-01 12:00:00.000 sysadminctl[123:456] "
	)
	with := func(m mac) mac {
		all := mac{console: "ada", uid: "501", home: "NFSHomeDirectory: /Users/ada"}
		for k, v := range m {
			all[k] = v
		}
		return all
	}
	runCases(t, "screen_saver_lock.sh", []scriptCase{
		{"old on", with(mac{own: "1"}), "Enabled"},
		{"old off", with(mac{own: "0"}), "Disabled"},
		{"old not set", with(mac{}), "Enabled"},
		{"new immediate", with(mac{lock: stamp + "screenLock delay is immediate"}), "Enabled"},
		{"new after a while", with(mac{lock: stamp + "screenLock delay is 300 seconds"}), "Enabled"},
		{"new off", with(mac{lock: stamp + "screenLock is off"}), "Disabled"},
		{"new off as a negative delay", with(mac{lock: stamp + "screenLock delay is -1 seconds"}), "Disabled"},
		{"new beats what is left of the old", with(mac{lock: stamp + "screenLock is off", own: "1"}), "Disabled"},
		{"profile for all", with(mac{managed + "com.apple.screensaver askForPassword": "1", lock: stamp + "screenLock is off"}), "Enabled"},
		{"profile for the person", with(mac{managed + "ada/com.apple.screensaver askForPassword": "1", own: "0"}), "Enabled"},
		{"nobody at the console", with(mac{console: "root", last: "ada", lock: stamp + "screenLock is off"}), "Disabled"},
		{"set-up assistant at the console", with(mac{console: "_mbsetupuser", last: "ada", own: "0"}), "Disabled"},
		{
			"home elsewhere", with(mac{
				home: "NFSHomeDirectory:\n /Volumes/Big Disk/ada", "defaults read /Volumes/Big Disk/ada/Library/Preferences/com.apple.screensaver askForPassword": "0",
			}), "Disabled",
		},
		{"home unknown", mac{console: "ada", own: "0"}, "Disabled"},
		{"nobody ever", mac{console: "root"}, "Unknown Status"},
		{"a name that leads elsewhere", mac{console: "root", last: "../../tmp/ada"}, "Unknown Status"},
	})
}

func TestWirelessMACAddress(t *testing.T) {
	t.Parallel()
	const list = "networksetup -listallhardwareports"
	ports := func(blocks ...string) string {
		return "\n" + strings.Join(blocks, "\n\n") + "\n\nVLAN Configurations\n==================="
	}
	const (
		ethernet = "Hardware Port: Ethernet\nDevice: en0\nEthernet Address: 3c:22:fb:00:00:01"
		wifi     = "Hardware Port: Wi-Fi\nDevice: en1\nEthernet Address: 3c:22:fb:00:00:02"
		bridge   = "Hardware Port: Thunderbolt Bridge\nDevice: bridge0\nEthernet Address: 36:22:fb:00:00:03"
	)
	runCases(t, "wireless_mac_address.sh", []scriptCase{
		{"after Ethernet", mac{list: ports(ethernet, wifi, bridge)}, "3c:22:fb:00:00:02"},
		{"first", mac{list: ports("Hardware Port: Wi-Fi\nDevice: en0\nEthernet Address: 3c:22:fb:00:00:04", bridge)}, "3c:22:fb:00:00:04"},
		{"AirPort", mac{list: ports(ethernet, "Hardware Port: AirPort\nDevice: en1\nEthernet Address: 3c:22:fb:00:00:05")}, "3c:22:fb:00:00:05"},
		{"none", mac{list: ports(ethernet, bridge)}, ""},
		{
			"address not listed", mac{
				list:                              ports(ethernet, "Hardware Port: Wi-Fi\nDevice: en1\nEthernet Address: N/A"),
				"networksetup -getmacaddress en1": "Ethernet Address: 3c:22:fb:00:00:06 (Device: en1)",
			}, "3c:22:fb:00:00:06",
		},
		{
			"no address at all", mac{
				list:                              ports("Hardware Port: Wi-Fi\nDevice: en1\nEthernet Address: N/A"),
				"networksetup -getmacaddress en1": "en1 is not a recognized network service.",
			}, "",
		},
		{"no tool", mac{}, ""},
	})
}

// The scripts as they ship run as root, so programs that lie in the caller's PATH
// must not be run.
func TestScripts_ignoreTheCallersPath(t *testing.T) {
	t.Parallel()
	scripts, err := filepath.Glob("*.sh")
	if err != nil || len(scripts) != 10 {
		t.Fatalf("%d scripts, want 10 (%v)", len(scripts), err)
	}
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	trace := filepath.Join(dir, "trace")
	for _, command := range append(macCommands(), "sed", "awk", "grep") {
		stub := "#!/bin/sh\necho " + command + " >> " + quote(trace) + "\necho 1\n"
		if err := os.WriteFile(filepath.Join(dir, command), []byte(stub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, script := range scripts {
		out := execute(t, []string{sh, script}, []string{"PATH=" + dir + ":/usr/bin:/bin"})
		if !strings.HasPrefix(out, "<result>") || !strings.HasSuffix(out, "</result>\n") || strings.Count(out, "\n") != 1 {
			t.Errorf("%s prints %q, not one result", script, out)
		}
		info, err := os.Stat(script)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode()&0o111 == 0 {
			t.Errorf("%s cannot be executed", script)
		}
	}
	if called, err := os.ReadFile(trace); err == nil {
		t.Errorf("the scripts ran the caller's %q", strings.Fields(string(called)))
	}
}
