#!/bin/sh
# Jamf Pro extension attribute "Remote Login", data type String.
#
# Whether people can log in over SSH. systemsetup refuses to tell unless whoever
# runs it has Full Disk Access; launchd then tells whether the SSH service runs, or
# may run: it is off unless somebody switched it on.
#
# Reports On, Off, or Unknown Status.

# Runs as root: the caller's environment must not choose the programs.
PATH=/usr/bin:/bin:/usr/sbin:/sbin
export PATH

# from_launchd prints On or Off, or nothing when launchd does not answer.
from_launchd() {
    if launchctl print system/com.openssh.sshd >/dev/null 2>&1; then
        echo On
        return
    fi
    overrides=$(launchctl print-disabled system 2>/dev/null) || return
    # Up to macOS 12 an entry reads "=> false" when the service is not disabled.
    case $(printf '%s\n' "$overrides" | grep -F '"com.openssh.sshd"') in
    *'=> enabled'* | *'=> false'*) echo On ;;
    *) echo Off ;;
    esac
}

case $(systemsetup -getremotelogin 2>/dev/null) in
'Remote Login: On') answer=On ;;
'Remote Login: Off') answer=Off ;;
*) answer=$(from_launchd) ;;
esac

echo "<result>${answer:-Unknown Status}</result>"
