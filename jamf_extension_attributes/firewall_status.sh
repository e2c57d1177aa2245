#!/bin/sh
# Jamf Pro extension attribute "Firewall Status", data type Integer.
#
# The state of the application firewall. Its own tool knows on every macOS; the
# preference file, which macOS 15 no longer has and which may be left over on an
# upgraded Mac, is asked only where the tool does not answer.
#
# Reports 0 (off), 1 (on), 2 (on, only essential connections come in), or nothing
# when neither answers.

# Runs as root: the caller's environment must not choose the programs.
PATH=/usr/bin:/bin:/usr/sbin:/sbin:/usr/libexec/ApplicationFirewall
export PATH

case $(socketfilterfw --getglobalstate 2>/dev/null) in
*'State = 2'* | *'blocking all'*) state=2 ;;
*'State = 1'* | *'is enabled'*) state=1 ;;
*'State = 0'* | *'is disabled'*) state=0 ;;
*) state=$(defaults read /Library/Preferences/com.apple.alf globalstate 2>/dev/null) ;;
esac

case $state in
[0-2]) ;;
*) state= ;;
esac

echo "<result>$state</result>"
