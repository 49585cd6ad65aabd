//! The service under a supervisor that passes on a socket and wants to be told, as systemd does.

use std::{
    net::{SocketAddr, TcpListener},
    os::{fd::OwnedFd, unix::net::UnixDatagram},
    path::{Path, PathBuf},
    sync::Arc,
};

use comet_task_runner::api::v1::{GetRunnerRequest, job::Status, task_runner_client::TaskRunnerClient};
use tokio::time::timeout;
use tonic::transport::{Channel, Endpoint};

use super::{
    cli::{Ended, ended},
    processes,
    service::{Bearer, Options, SOON, Service, command, execute, job_when, stub_url},
};

/// Places its standard input where a supervisor places the first socket, and becomes the service.
const PASS_ON: &str = "exec 3<&0 </dev/null; export LISTEN_FDS=1 LISTEN_PID=$$; exec \"$0\" \"$@\"";

/// A service that is given this socket.
fn with_socket(socket: impl Into<OwnedFd>) -> Options {
    Options {
        through: ["sh", "-c", PASS_ON].map(str::to_owned).into(),
        stdin: Some(Arc::new(socket.into())),
        // Where it would listen by itself: nobody may.
        ..Options::default().arg("--listen").arg("127.0.0.1:1")
    }
}

fn socket() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_wait_in_the_supervisors_socket_while_the_service_is_replaced() {
    let (listener, address) = socket();
    let mut service = Service::start_with(with_socket(listener.try_clone().unwrap()));
    assert_eq!(service.address, format!("http://{address}"));
    let begun = service.client().await.execute(execute(&stub_url("/sleep"))).await.unwrap().into_inner();
    assert!(tokio::task::block_in_place(|| service.terminate()).success());

    // Nobody is there, and nobody is refused.
    let bearer = Bearer::of(&service.token());
    let waiting = tokio::spawn(async move {
        let channel: Channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect_lazy();
        TaskRunnerClient::with_interceptor(channel, bearer).get_runner(GetRunnerRequest {}).await
    });
    tokio::task::block_in_place(|| service.restart());
    let told = timeout(SOON, waiting).await.expect("the call is answered").unwrap().unwrap();
    assert!(told.into_inner().ready);
    let job = job_when(&mut service.client().await, &begun.task_id, |job| job.status() == Status::Running).await;
    assert_eq!(job.process_id, begun.process_id);
}

#[tokio::test]
async fn no_process_of_the_service_has_the_socket_but_itself() {
    let (listener, address) = socket();
    let service = Service::start_with(with_socket(listener));
    let begun = service.client().await.execute(execute(&stub_url("/sleep"))).await.unwrap().into_inner();
    let inode = holds(service.pid(), address).expect("the service listens on it");
    let others = processes::descendants(service.pid());
    assert!(others.len() >= 2, "a launcher and a shim at least: {others:?}");
    for pid in others.into_iter().chain([begun.process_id]) {
        assert!(!processes::descriptors(pid).contains(&inode), "{} has it", processes::command_line(pid));
    }
}

/// The socket of a process that listens at this address, as `/proc` names it.
fn holds(pid: u32, address: SocketAddr) -> Option<PathBuf> {
    let table = std::fs::read_to_string(format!("/proc/{pid}/net/tcp")).unwrap();
    let port = format!("{:04X}", address.port());
    let listens = |fields: &[&str]| fields[1].ends_with(&port) && fields[3] == "0A";
    let rows = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    let inode =
        rows.into_iter().find(|fields| listens(fields)).map(|fields| format!("socket:[{}]", fields[9]).into())?;
    processes::descriptors(pid).contains(&inode).then_some(inode)
}

/// A start that has to fail.
async fn refused(options: Options) -> Ended {
    let home = tempfile::Builder::new().prefix("ct").tempdir_in("/tmp").unwrap();
    std::fs::create_dir(home.path().join("r")).unwrap();
    let mut start = tokio::process::Command::from(command(&options, home.path()));
    start.kill_on_drop(true);
    ended(start).await
}

#[tokio::test]
async fn what_holds_for_an_address_holds_for_a_socket_that_was_passed_on() {
    let open_to_all = TcpListener::bind("0.0.0.0:0").unwrap();
    let end = refused(with_socket(open_to_all)).await;
    assert_ne!(end.code, Some(0));
    assert!(end.stderr.contains("is not a loopback address"), "{}", end.stderr);

    let home = tempfile::tempdir().unwrap();
    let no_tcp = UnixDatagram::bind(home.path().join("d")).unwrap();
    let end = refused(with_socket(no_tcp)).await;
    assert!(end.stderr.contains("descriptor 3 from the supervisor is no listening TCP socket"), "{}", end.stderr);
}

#[tokio::test]
async fn variables_that_were_meant_for_another_process_mean_nothing() {
    let options = Options::default().env("LISTEN_FDS", "1").env("LISTEN_PID", "1");
    let service = Service::start_with(options);
    service.client().await.get_runner(GetRunnerRequest {}).await.unwrap();
}

fn heard(by: &UnixDatagram) -> String {
    by.set_read_timeout(Some(SOON)).unwrap();
    let mut buffer = [0; 512];
    let length = by.recv(&mut buffer).expect("the supervisor is told soon");
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

#[tokio::test]
async fn the_supervisor_is_told_when_calls_are_taken_and_when_the_service_leaves() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("notify");
    let supervisor = UnixDatagram::bind(&path).unwrap();
    let mut service = Service::start_with(Options::default().env("NOTIFY_SOCKET", path.to_str().unwrap()));
    assert_eq!(heard(&supervisor), format!("READY=1\nSTATUS=listening on {}\n", service.address));
    assert!(service.terminate().success());
    assert!(heard(&supervisor).starts_with("STOPPING=1\n"));
}

#[test]
fn the_units_are_ones_that_systemd_takes() {
    let units = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/systemd");
    let Ok(verified) = std::process::Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .args(["comet-task-runner.service", "comet-task-runner.socket"].map(|unit| units.join(unit)))
        .output()
    else {
        eprintln!("not run: systemd-analyze is not installed");
        return;
    };
    let said = String::from_utf8_lossy(&verified.stderr);
    // The program is not installed where the unit expects it, and before 254 there was no such key, which does no harm.
    let known = ["is not executable", "Unknown key 'DelegateSubgroup'"];
    let ours = said.lines().filter(|line| line.contains("comet-task-runner"));
    let ours = ours.filter(|line| !known.iter().any(|known| line.contains(known)));
    assert_eq!(ours.collect::<Vec<_>>(), Vec::<&str>::new(), "{said}");
}
