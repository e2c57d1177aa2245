#!/bin/sh
# Jamf Pro extension attribute "Screen Saver Lock Enabled", data type String.
#
# Whether the Mac asks for a password when its screen saver or display sleep ends,
# for the person at the console or else the one who logged in last. A configuration
# profile decides first, then what sysadminctl says (macOS 10.14 and newer), then
# the preference of older systems; without any macOS asks.
#
# Reports Enabled, Disabled, or Unknown Status when nobody has ever logged in.

# Runs as root: the caller's environment must not choose the programs.
PATH=/usr/bin:/bin:/usr/sbin:/sbin
export PATH

# finish prints the result and ends the script.
finish() {
    echo "<result>$1</result>"
    exit 0
}

# from_switch ends the script when a preference is on or off.
from_switch() {
    case $1 in
    1 | [Tt][Rr][Uu][Ee] | [Yy][Ee][Ss]) finish Enabled ;;
    0 | [Ff][Aa][Ll][Ss][Ee] | [Nn][Oo]) finish Disabled ;;
    esac
}

# as_user runs a command as the person, within their session if there is one.
as_user() {
    if [ "$session" = yes ]; then
        launchctl asuser "$uid" sudo -n -u "$user" "$@"
    else
        sudo -n -u "$user" "$@"
    fi
}

session=yes
user=$(stat -f %Su /dev/console 2>/dev/null)
case $user in
'' | root | loginwindow | _*)
    session=no
    user=$(defaults read /Library/Preferences/com.apple.loginwindow lastUserName 2>/dev/null)
    ;;
esac
case $user in
*/* | -* | .*) user= ;; # no such name is valid, and it goes into paths
esac

from_switch "$(defaults read '/Library/Managed Preferences/com.apple.screensaver' askForPassword 2>/dev/null)"
if [ -z "$user" ]; then
    finish 'Unknown Status'
fi
from_switch "$(defaults read "/Library/Managed Preferences/$user/com.apple.screensaver" askForPassword 2>/dev/null)"

if uid=$(id -u "$user" 2>/dev/null); then
    # The answer comes on standard error.
    case $(as_user sysadminctl -screenLock status 2>&1) in
    *'screenLock is off'* | *'screenLock delay is off'* | *'screenLock delay is -1'*) finish Disabled ;;
    *'screenLock delay is'*) finish Enabled ;;
    esac
fi

home=$(dscl . -read "/Users/$user" NFSHomeDirectory 2>/dev/null | sed -n 's/^NFSHomeDirectory: //p; s/^ //p')
from_switch "$(defaults read "${home:-/Users/$user}/Library/Preferences/com.apple.screensaver" askForPassword 2>/dev/null)"
finish Enabled
