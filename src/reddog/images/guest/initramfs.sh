#!/bin/busybox sh
# The first program: finds the disk, gives the root partition all of it, and hands over to the root.
export PATH=/bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
for module in $(cat /modules/order); do insmod "/modules/$module.ko"; done

find_disk() {
    for tries in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        for disk in vda sda vdb sdb; do
            [ -e "/sys/block/$disk/${disk}2" ] && return 0
        done
        usleep 250000
    done
    return 1
}

little_endian() {
    printf "$(printf '\\x%02x\\x%02x\\x%02x\\x%02x' \
        $(($1 & 255)) $(($1 >> 8 & 255)) $(($1 >> 16 & 255)) $(($1 >> 24 & 255)))"
}

# The length of the second partition stands 12 bytes into its entry in the master boot record.
grow_partition() {
    room=$(($(cat "/sys/block/$disk/size") - $(cat "/sys/block/$disk/${disk}2/start")))
    [ "$room" -gt 4294967295 ] && room=4294967295
    [ "$room" -ge $(($(cat "/sys/block/$disk/${disk}2/size") + 2048)) ] || return 0
    little_endian "$room" | dd of="/dev/$disk" bs=1 seek=474 conv=notrunc 2>/dev/null
    blockdev --rereadpt "/dev/$disk"
}

if ! find_disk; then
    echo "reddog: no disk with a root partition was found" >/dev/console
    sleep 5
    poweroff -f
fi
grow_partition
mount -t ext4 -o rw,noatime "/dev/${disk}2" /root || { sleep 5; poweroff -f; }
mount -t tmpfs -o mode=755 run /run
echo "/dev/${disk}2" >/run/root-device
for place in dev proc sys run; do mount -o move "/$place" "/root/$place"; done
exec switch_root /root /sbin/init
