#!/bin/sh
# Jamf Pro extension attribute "5 Install Security Updates Enabled", data type String.
#
# Whether macOS installs security responses and updates by itself. A configuration
# profile goes before the local setting; without either macOS does.
#
# Reports True, False, or Unknown Status for a value that is neither.

# Runs as root: the caller's environment must not choose the programs.
PATH=/usr/bin:/bin:/usr/sbin:/sbin
export PATH

value=$(
    defaults read '/Library/Managed Preferences/com.apple.SoftwareUpdate' CriticalUpdateInstall 2>/dev/null ||
        defaults read /Library/Preferences/com.apple.SoftwareUpdate CriticalUpdateInstall 2>/dev/null ||
        echo 1
)

case $value in
1 | [Tt][Rr][Uu][Ee] | [Yy][Ee][Ss]) answer=True ;;
0 | [Ff][Aa][Ll][Ss][Ee] | [Nn][Oo]) answer=False ;;
*) answer='Unknown Status' ;;
esac

echo "<result>$answer</result>"
