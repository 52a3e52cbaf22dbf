# Writes each value of an ovf-env.xml into a file named for its element; those of keys and certificates are numbered.
BEGIN { RS = "<" }
{
    end = index($0, ">")
    tag = substr($0, 1, end - 1)
    text = substr($0, end + 1)
    if (tag ~ /\/$/) next
    sub(/[ \t\r\n].*/, "", tag)
    closing = sub(/^\//, "", tag)
    sub(/^.*:/, "", tag)
    if (tag ~ /^(PublicKey|KeyPair|Certificate)$/) {
        part = closing ? "" : tag
        number += !closing
    }
    if (closing) next
    if (part != "" && tag ~ /^(Fingerprint|Path|Value|Thumbprint|Data|PrivateKey)$/)
        save(part "/" number "." tag, text)
    else if (tag ~ /^(HostName|UserName|UserPassword|DisableSshPasswordAuthentication|CustomData)$/)
        save(tag, text)
}
function save(name, text) {
    gsub(/&lt;/, "<", text)
    gsub(/&gt;/, ">", text)
    gsub(/&quot;/, "\"", text)
    gsub(/&apos;/, "'", text)
    gsub(/&#9;/, "\t", text)
    gsub(/&#10;/, "\n", text)
    gsub(/&#13;/, "\r", text)
    gsub(/&amp;/, "\\&", text)
    printf "%s", text > (directory "/" name)
    close(directory "/" name)
}
