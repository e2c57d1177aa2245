#!/bin/sh
# Jamf Pro extension attribute "3 Install App Updates Enabled", data type String.
#
# Whether the App Store installs updates of its applications by itself. A profile
# says so under either of two keys and goes before the local setting; without any
# the App Store does not.
#
# Reports True, False, or Unknown Status for a value that is neither.

# Runs as root: the caller's environment must not choose the programs.
PATH=/usr/bin:/bin:/usr/sbin:/sbin
export PATH

value=$(
    defaults read '/Library/Managed Preferences/com.apple.SoftwareUpdate' AutomaticallyInstallAppUpdates 2>/dev/null ||
        defaults read '/Library/Managed Preferences/com.apple.commerce' AutoUpdate 2>/dev/null ||
        defaults read /Library/Preferences/com.apple.commerce AutoUpdate 2>/dev/null ||
        defaults read /Library/Preferences/com.apple.SoftwareUpdate AutomaticallyInstallAppUpdates 2>/dev/null ||
        echo 0
)

case $value in
1 | [Tt][Rr][Uu][Ee] | [Yy][Ee][Ss]) answer=True ;;
0 | [Ff][Aa][Ll][Ss][Ee] | [Nn][Oo]) answer=False ;;
*) answer='Unknown Status' ;;
esac

echo "<result>$answer</result>"
