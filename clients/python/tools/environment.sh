# Read by check.sh and test.sh: makes the Python environment that they use, when it is not that of requirements.txt.
# Leaves its programs' directory in $bin. Without Python it says what was not run, and fails under CI=true.
. ../../tests/common.sh
command -v python3 >/dev/null || missing 'Python is not installed'
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || missing 'Python is older than 3.11'

venv=$(cd ../.. && pwd)/target/tools/python-client
bin=$venv/bin
if ! cmp -s requirements.txt "$venv/installed.txt"; then
    # Debian has venv in a package of its own.
    python3 -m venv --clear "$venv" 2>/dev/null || missing 'python3 makes no environment; install python3-venv'
    "$bin/pip" --quiet --disable-pip-version-check install -r requirements.txt ||
        missing 'pip could not install requirements.txt'
    cp requirements.txt "$venv/installed.txt"
fi
