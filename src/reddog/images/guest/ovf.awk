# Writes each value of an ovf-env.xml into a file named for its element; those of public keys are numbered.
BEGIN { RS = "<" }
{
    end = index($0, ">")
    tag = substr($0, 1, end - 1)
    text = substr($0, end + 1)
    if (tag ~ /\/$/) next
    sub(/[ \t\r\n].*/, "", tag)
    closing = sub(/^\//, "", tag)
    sub(/^.*:/, "", tag)
    if (tag == "PublicKeys") keys = !closing
    if (closing) next
    if (tag == "PublicKey") number++
    if (keys && (tag == "Fingerprint" || tag == "Path" || tag == "Value"))
        save("keys/" number "." tag, text)
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
