#!/bin/sh
# Jamf Pro extension attribute "4 Install OS X Updates Enabled", data type String.
#
# Whether macOS installs updates of itself. Up to 10.13 the App Store holds the
# setting, from 10.14 on Software Update does; what an upgraded Mac still has in
# the old place no longer counts. A configuration profile goes before the local
# setting; without either macOS does not.
#
# Reports True, False, or Unknown Status for a value that is neither.

# Runs as root: the caller's environment must not choose the programs.
PATH=/usr/bin:/bin:/usr/sbin:/sbin
export PATH

case $(sw_vers -productVersion 2>/dev/null) in
10.[0-9] | 10.[0-9].* | 10.1[0-3] | 10.1[0-3].*)
    domain=com.apple.commerce
    key=AutoUpdateRestartRequired
    ;;
*)
    domain=com.apple.SoftwareUpdate
    key=AutomaticallyInstallMacOSUpdates
    ;;
esac

value=$(
    defaults read "/Library/Managed Preferences/$domain" "$key" 2>/dev/null ||
        defaults read "/Library/Preferences/$domain" "$key" 2>/dev/null ||
        echo 0
)

case $value in
1 | [Tt][Rr][Uu][Ee] | [Yy][Ee][Ss]) answer=True ;;
0 | [Ff][Aa][Ll][Ss][Ee] | [Nn][Oo]) answer=False ;;
*) answer='Unknown Status' ;;
esac

echo "<result>$answer</result>"
