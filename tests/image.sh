#!/bin/sh
# Build the container image of `Dockerfile` and run it: without root, with a read-only root file system,
# its health check asked. Instead of a base image that is fetched, one is made here by debootstrap.
# Needs root, buildah, podman, runc or crun, and debootstrap. Where one is missing, or the kernel starts no
# containers (looked at before anything is built), it says so and ends with 77: not tried. All else that fails ends with 1.
set -eu
cd "$(dirname "$0")/.."
work=${IMAGE_FOLDER:-$PWD/build/image}
base=$work/base
name=rtc-slicer-test

not_tried() {
    echo "==> the image is not tried: $1" >&2
    exit 77
}

[ "$(id -u)" -eq 0 ] || not_tried 'not root'
for program in buildah podman debootstrap; do
    command -v "$program" >/dev/null || not_tried "no $program (apt-get install buildah podman debootstrap)"
done
# What a container is made of. If the kernel gives it, one that does not start is a fault of the image.
unshare --mount --pid --ipc --uts --fork --mount-proc true 2>/dev/null ||
    not_tried 'this kernel gives no namespaces of mounts, processes, IPC and host names here'
{ [ -w /sys/fs/cgroup ] && ls -d /sys/fs/cgroup/*; } >/dev/null 2>&1 || not_tried 'no cgroups can be made here'

# An own store: whatever else is built on this machine is not touched.
mkdir -p "$work"
export STORAGE_DRIVER=vfs BUILDAH_ISOLATION=chroot
buildah="buildah --root $work/store --runroot $work/run"
# runc also runs where cgroups are of both versions.
runtime=$(command -v runc || command -v crun || true)
podman="podman ${runtime:+--runtime $runtime} --root $work/store --runroot $work/run --cgroup-manager cgroupfs"

if [ ! -e "$base/.complete" ]; then
    echo '==> making a base image (debootstrap, 300 MB)'
    rm -rf "$base"
    mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | head -n 1)
    suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
    debootstrap --variant=minbase \
        --include=python3,python3-venv,python3-dev,g++,ca-certificates,libssl3 \
        "$suite" "$base" "$mirror" >"$work/debootstrap.log" || { tail "$work/debootstrap.log"; exit 1; }
    touch "$base/.complete"
fi
if ! $buildah inspect --type image slicer-base >/dev/null 2>&1; then
    container=$($buildah from scratch)
    $buildah add --quiet "$container" "$base" / >/dev/null
    $buildah commit --quiet --rm "$container" slicer-base >/dev/null
fi

echo '==> building the image'
# What this machine's pip is set to is what the build's pip needs, its certificates included.
pip=$(python3 -m pip config list 2>/dev/null | sed -n "s/^\(global\|:env:\)\.\([a-z-]*\)='\(.*\)'$/\2 = \3/p" |
    awk '!seen[$1]++')
printf '[global]\n%s\n' "$pip" >"$work/pip.conf"
certificates=/etc/ssl/certs/ca-certificates.crt
$buildah bud --quiet --layers --format docker --build-arg BASE=localhost/slicer-base --build-arg EXTRAS=s3 \
    --secret "id=pip,src=$work/pip.conf" --volume "$certificates:$certificates:ro" \
    --tag "$name" . >"$work/build.log" 2>&1 || { tail -n 20 "$work/build.log"; exit 1; }

echo '==> running it: not as root, nothing writable but its volume'
mkdir -p "$work/etc"
cat >"$work/etc/slicer.toml" <<'END'
[serve]
port = 0
[[apps]]
sdk_app_id = 1
rooms = [{ pattern = "*", url = "whip://127.0.0.1:0/{room}" }]
END
# No timer of systemd asks for the health: it is asked below. Limits are those of this machine.
run="--network host --ulimit nofile=4096:4096 --ulimit nproc=4096:4096 --health-interval disable --read-only --cap-drop all --security-opt no-new-privileges"
$podman rm --force --volumes "$name" >/dev/null 2>&1 || true
if ! $podman run --detach --name "$name" $run --env SLICER_SERVE_HEALTH=127.0.0.1:8090 \
    --volume "$work/etc:/etc/slicer:ro" "$name" >"$work/run.log" 2>&1; then
    cat "$work/run.log" >&2
    echo 'error: the container does not start' >&2
    exit 1
fi
trap '$podman rm --force --volumes "$name" >/dev/null 2>&1 || true' EXIT
tries=0
until $podman healthcheck run "$name" >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ "$tries" -lt 60 ] || { $podman logs "$name" >&2; echo 'error: it is not healthy' >&2; exit 1; }
    sleep 1
done
$podman exec "$name" sh -c '[ "$(id -u)" -eq 10001 ]' || { echo 'error: it is root' >&2; exit 1; }
if $podman exec "$name" touch /opt/slicer/x 2>/dev/null; then
    echo 'error: its root is writable' >&2
    exit 1
fi
$podman exec "$name" python3 -c 'from slicer.hot import IMPLEMENTATION as it; assert it == "native"'
$podman stop --time 60 "$name" >/dev/null
code=$($podman inspect --format '{{.State.ExitCode}}' "$name")
[ "$code" -eq 0 ] || { $podman logs "$name" >&2; echo "error: it ended with $code" >&2; exit 1; }
echo '==> the image: built, healthy, not root, root file system read-only, ended in order'
