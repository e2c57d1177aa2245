// Package jamfextensionattributes holds the shell scripts that collect on Macs
// what Jamf Pro does not collect by itself; README.md tells how to install them.
// There is no Go code in it but the scripts' tests.
package jamfextensionattributes
