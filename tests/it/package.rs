//! The Debian package: what is in it, and that its program runs from where it is unpacked.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use super::service::{Options, Service, execute, job_when, stub_url};
use comet_task_runner::api::v1::job::Status;

/// What a command prints; it has to succeed.
fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {stdout}{stderr}");
    stdout.into_owned()
}

/// The package, made of the program that is tested.
fn package(to: &Path) -> Option<PathBuf> {
    let missing =
        ["dpkg-deb", "objdump"].into_iter().find(|tool| Command::new(tool).arg("--version").output().is_err());
    if let Some(tool) = missing {
        eprintln!("not run: {tool} is not installed, and only Debian and its kin have it");
        return None;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/deb/build.sh");
    let printed = output(
        // What would make it small takes longer than the test.
        Command::new(script).arg(env!("CARGO_BIN_EXE_comet-task-runner")).arg(to).env("COMPRESSION", "none"),
    );
    Some(PathBuf::from(printed.trim()))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_package_has_all_that_a_machine_needs_and_its_program_runs() {
    let home = tempfile::tempdir().unwrap();
    let Some(package) = tokio::task::block_in_place(|| package(home.path())) else { return };
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(output(Command::new("dpkg-deb").arg("-f").arg(&package).arg("Version")).trim(), version);
    let contents = output(Command::new("dpkg-deb").arg("--contents").arg(&package));
    assert!(contents.lines().all(|line| line.contains(" root/root ")), "{contents}");
    assert!(contents.lines().next().unwrap().starts_with("drwxr-xr-x"), "{contents}");

    let (root, control) = (home.path().join("root"), home.path().join("control"));
    output(Command::new("dpkg-deb").arg("-x").arg(&package).arg(&root));
    output(Command::new("dpkg-deb").arg("-e").arg(&package).arg(&control));
    for file in [
        "usr/lib/systemd/system/comet-task-runner.service",
        "usr/lib/systemd/system/comet-task-runner.socket",
        "usr/lib/systemd/user/comet-task-runner.service",
        "usr/lib/sysusers.d/comet-task-runner.conf",
        "usr/share/doc/comet-task-runner/README.md",
        "usr/share/doc/comet-task-runner/copyright",
        "usr/share/doc/comet-task-runner/changelog.gz",
        "usr/share/doc/comet-task-runner/examples/grafana/comet-task-runner.json",
    ] {
        assert!(root.join(file).is_file(), "{file} is missing");
    }
    for script in ["postinst", "prerm", "postrm"] {
        assert_eq!(fs::metadata(control.join(script)).unwrap().permissions().mode() & 0o777, 0o755);
        output(Command::new("sh").arg("-n").arg(control.join(script)));
    }
    let conffiles = fs::read_to_string(control.join("conffiles")).unwrap();
    assert!(conffiles.lines().all(|file| root.join(&file[1..]).is_file()), "{conffiles}");
    output(Command::new("md5sum").args(["--check", "--quiet"]).arg(control.join("md5sums")).current_dir(&root));

    // What the unit starts is there, and takes the configuration that comes with it.
    let unit = fs::read_to_string(root.join("usr/lib/systemd/system/comet-task-runner.service")).unwrap();
    let start = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    let words: Vec<_> = start.split(' ').collect();
    let [program, "serve", "--config", config] = words.as_slice() else { panic!("{start}") };
    let (program, config) = (root.join(&program[1..]), root.join(&config[1..]));
    let run = ["sh", "-c", "program=$1; shift 2; exec \"$program\" \"$@\"", "sh", program.to_str().unwrap()];
    let options = Options { through: run.map(str::to_owned).into(), ..Options::default() };
    let service = Service::start_with(options.arg("--config").arg(config.to_str().unwrap()));
    let mut client = service.client().await;
    let begun = client.execute(execute(&stub_url("/exit/0"))).await.unwrap().into_inner();
    assert_eq!(job_when(&mut client, &begun.task_id, |job| job.done).await.status(), Status::Done);
}

/// The setting of a unit.
fn setting<'a>(unit: &'a str, key: &str) -> Vec<&'a str> {
    unit.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect()
}

#[test]
fn the_units_leave_browsers_what_they_live_by() {
    let units = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/systemd");
    for path in ["comet-task-runner.service", "user/comet-task-runner.service"] {
        let unit = fs::read_to_string(units.join(path)).unwrap();
        // Anything else kills the shims, and so every task, with the service.
        assert_eq!(setting(&unit, "KillMode"), ["process"], "{path}");
        assert_eq!((setting(&unit, "Type"), setting(&unit, "OOMPolicy")), (vec!["notify"], vec!["continue"]), "{path}");
        assert_eq!(setting(&unit, "Delegate"), ["yes"], "{path}");
        let harmful = [
            "PrivateTmp",
            "PrivateUsers",
            "RestrictNamespaces",
            "SystemCallFilter",
            "MemoryDenyWriteExecute",
            "PrivateNetwork",
            "ProcSubset",
            "ProtectProc",
        ];
        for key in harmful {
            assert!(setting(&unit, key).is_empty(), "{path} sets {key}");
        }
    }
    let unit = fs::read_to_string(units.join("comet-task-runner.service")).unwrap();
    // A shim's sockets must be where the next service looks for them.
    assert_eq!(setting(&unit, "RuntimeDirectoryPreserve"), ["yes"]);
    assert!(setting(&unit, "Environment").iter().any(|all| all.contains("RUN_DIR=%t/comet-task-runner")));
}
