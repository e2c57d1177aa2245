#!/bin/sh
# Jamf Pro extension attribute "Wireless Mac Address", data type String.
#
# The hardware address of the Wi-Fi interface, whatever that interface is called and
# whether or not networks are shown a private address instead of it.
#
# Reports an address such as 3c:22:fb:00:00:02; nothing on a Mac without Wi-Fi.

# Runs as root: the caller's environment must not choose the programs.
PATH=/usr/bin:/bin:/usr/sbin:/sbin
export PATH

# Each port is listed in three lines: its name, its device, its hardware address.
# Systems before 10.7 call Wi-Fi AirPort.
ports=$(networksetup -listallhardwareports 2>/dev/null)
address=$(printf '%s\n' "$ports" | awk '
    /^Hardware Port: / { wifi = ($0 == "Hardware Port: Wi-Fi" || $0 == "Hardware Port: AirPort") }
    wifi && /^Ethernet Address: / { print $3; exit }')

case $address in
*:*:*:*:*:*) ;;
*)
    device=$(printf '%s\n' "$ports" | awk '
        /^Hardware Port: / { wifi = ($0 == "Hardware Port: Wi-Fi" || $0 == "Hardware Port: AirPort") }
        wifi && /^Device: / { print $2; exit }')
    address=
    if [ -n "$device" ]; then
        address=$(networksetup -getmacaddress "$device" 2>/dev/null | awk '$1 == "Ethernet" && $3 ~ /:/ { print $3; exit }')
    fi
    ;;
esac

echo "<result>$address</result>"
