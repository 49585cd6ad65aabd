//! The lines that matter of the wrappers that packages install.

use super::*;
use crate::browser::discover::tests::Table;

fn resolved(machine: &Table, path: &str) -> Result<String, Unresolved> {
    resolve(machine, Path::new(path)).map(|path| path.to_str().unwrap().to_owned())
}

#[test]
fn debian_chromium() {
    let script = r#"#!/bin/sh
APPNAME=chromium
GDB=/usr/bin/gdb
LIBDIR=/usr/lib/$APPNAME
CHROMIUM_FLAGS=""
if test -z "$CHROME_WRAPPER"; then
    export CHROME_WRAPPER="/usr/bin/$APPNAME"
fi
while [ $# -gt 0 -a $# -ne $extra_args ]; do
  shift
done
if [ $want_debug -eq 1 ] ; then
  $GDB "$LIBDIR/$APPNAME" -x $tmpfile
else
  if [ $want_temp_profile -eq 0 ] ; then
    exec $LIBDIR/$APPNAME $CHROMIUM_FLAGS "$@"
  fi
fi
"#;
    let machine =
        Table::new(Os::Linux).with_script("/usr/bin/chromium", script).with_program("/usr/lib/chromium/chromium");
    assert_eq!(resolved(&machine, "/usr/bin/chromium").as_deref(), Ok("/usr/lib/chromium/chromium"));
}

#[test]
fn google_chrome_and_its_relatives() {
    for (link, script, binary) in [
        ("/usr/bin/google-chrome", "/opt/google/chrome/google-chrome", "/opt/google/chrome/chrome"),
        ("/usr/bin/microsoft-edge", "/opt/microsoft/msedge/microsoft-edge", "/opt/microsoft/msedge/msedge"),
        ("/usr/bin/brave-browser", "/opt/brave.com/brave/brave-browser", "/opt/brave.com/brave/brave"),
    ] {
        let name = binary.rsplit('/').next().unwrap();
        let text = format!(
            "#!/bin/bash\nexport CHROME_WRAPPER=\"$(readlink -f \"$0\")\"\nHERE=\"$(dirname \"$CHROME_WRAPPER\")\"\n\
             exec < /dev/null\nexec > >(exec cat)\nexec 2> >(exec cat >&2)\n\
             # exec -a \"$0\" \"$HERE/other\"\nexec -a \"$0\" \"$HERE/{name}\" \"$@\"\n"
        );
        let machine = Table::new(Os::Linux).with_link(link, script).with_script(script, &text).with_program(binary);
        assert_eq!(resolved(&machine, link).as_deref(), Ok(binary));
    }
}

#[test]
fn backticks_nesting_and_quotes() {
    for line in [
        "exec `dirname $0`/chrome \"$@\"",
        "exec \"$(dirname \"$(readlink -f -- \"$0\")\")/chrome\" --flag",
        "exec '/opt/x/chrome' \"$@\"",
        "D=/opt/x; E=1\nexec ${D}/chrome",
    ] {
        let machine = Table::new(Os::Linux)
            .with_script("/opt/x/chrome-wrapper", &format!("#!/bin/sh\n{line}\n"))
            .with_program("/opt/x/chrome");
        assert_eq!(resolved(&machine, "/opt/x/chrome-wrapper").as_deref(), Ok("/opt/x/chrome"), "{line}");
    }
}

#[test]
fn ubuntu_hands_over_to_snap_and_flatpak_to_its_box() {
    for (line, box_name) in
        [("exec /snap/bin/chromium \"$@\"", "snap"), ("exec /usr/bin/flatpak run --command=chromium org.x", "flatpak")]
    {
        let machine = Table::new(Os::Linux)
            .with_script("/usr/bin/chromium-browser", &format!("#!/bin/sh\n{line}\n"))
            .with_program("/usr/bin/snap")
            .with_program("/usr/bin/flatpak")
            .with_link("/snap/bin/chromium", "/usr/bin/snap");
        let refused = resolved(&machine, "/usr/bin/chromium-browser");
        assert_eq!(refused, Err(Unresolved::Confined(box_name.to_owned())));
    }
}

#[test]
fn what_cannot_be_told_is_refused_and_never_run() {
    for line in [
        "",
        "/usr/lib/chromium/chromium \"$@\"",
        "exec \"$UNKNOWN/chrome\"",
        "exec env A=1 /opt/x/chrome",
        "exec /usr/bin/env chrome",
        "exec $(which chrome)",
        "exec chrome",
        "exec /opt/x/gone/chrome",
        "exec \"/opt/x/chrome",
        "exec $(",
        "exec $",
        "exec -a",
        "exec `",
        "exec /opt/x/wrapper",
    ] {
        let machine = Table::new(Os::Linux)
            .with_script("/opt/x/wrapper", &format!("#!/bin/sh\n{line}\n"))
            .with_program("/opt/x/chrome")
            .with_program("/usr/bin/env");
        assert_eq!(resolved(&machine, "/opt/x/wrapper"), Err(Unresolved::Script), "{line}");
    }
}

#[test]
fn what_is_no_program_is_refused() {
    let machine = Table::new(Os::Linux).with_script("/a", "MZ").with_file("/b", "\x7fELF");
    assert_eq!(resolved(&machine, "/a"), Err(Unresolved::NotAProgram));
    assert_eq!(resolved(&machine, "/b"), Err(Unresolved::NotExecutable));
    assert_eq!(resolved(&machine, "/c"), Err(Unresolved::Missing));
}

proptest::proptest! {
    #[test]
    fn no_script_panics(text in "(exec |[A-Z]=|[$`'\"(){}/ \\\\a-z0-9\n]){0,60}") {
        let machine = Table::new(Os::Linux).with_script("/x", &format!("#!{text}"));
        let _ = resolved(&machine, "/x");
    }
}
