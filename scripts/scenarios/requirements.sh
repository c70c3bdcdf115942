# shellcheck shell=sh
#
# What `run` and lib.sh need: bash 4.4 and coreutils. Any shell can read this file. Where something
# is missing, no scenario can run: that is said in TAP, and the exit status is 1.

missing=''
case ${BASH_VERSION:-} in
    '') missing='bash 4.4 or later, and this is another shell' ;;
    [0-3].* | 4.[0-3].*) missing="bash 4.4 or later, and this is $BASH_VERSION" ;;
esac
for tool in cat dirname head mkfifo mktemp rm sleep tail timeout; do
    if command -v "$tool" >/dev/null; then continue; fi
    missing="${missing:+$missing, }$tool of coreutils"
done
if [ -n "$missing" ]; then
    echo 'TAP version 13'
    echo "Bail out! needs $missing"
    exit 1
fi
