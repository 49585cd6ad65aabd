//! A certificate that is renewed while the service runs, in the ways in which tools renew one.

use std::{fs, os::unix::fs::symlink, path::Path};

use http::{Method, StatusCode};
use hyper::body::Bytes;
use tokio::net::TcpStream;

use super::{
    certificate::Certificate,
    cli::{ended, on},
    line::{Line, Transport, addressed, shake},
    service::{Options, SOON, Service},
};

/// Whether a caller that trusts this certificate alone gets through.
async fn shows(service: &Service, certificate: &Certificate) -> bool {
    let tcp = TcpStream::connect(service.address.strip_prefix("https://").unwrap()).await.unwrap();
    tokio::time::timeout(SOON, shake(tcp, Some(certificate.der()), &["h2"])).await.expect("hands are shaken").is_ok()
}

/// Callers are shown this certificate, once the service has said so.
async fn shows_soon(service: &Service, certificate: &Certificate) {
    service.log_until("the certificate was renewed");
    assert!(shows(service, certificate).await);
}

fn copy(certificate: &Certificate, dir: &Path) {
    fs::copy(certificate.key_file(), dir.join("key.pem")).unwrap();
    fs::copy(certificate.file(), dir.join("cert.pem")).unwrap();
}

fn serve(dir: &Path) -> Options {
    let file = |name: &str| dir.join(name).to_str().unwrap().to_owned();
    Options::default().arg("--tls-cert").arg(file("cert.pem")).arg("--tls-key").arg(file("key.pem"))
}

fn localhost() -> Certificate {
    Certificate::for_names(&["localhost"])
}

#[tokio::test]
async fn files_that_are_written_over_are_taken_up_and_open_connections_go_on() {
    let (dir, old, new) = (tempfile::tempdir().unwrap(), localhost(), localhost());
    copy(&old, dir.path());
    let service = Service::start_with(serve(dir.path()));
    assert!(shows(&service, &old).await && !shows(&service, &new).await);
    let host = service.address.strip_prefix("https://").unwrap().to_owned();
    let mut line = Line::new(Transport::H2Tls, &host, Some(old.der()));
    let path = "/comet.taskrunner.v1.TaskRunner/GetRunner";
    let request = addressed(Transport::H2Tls, &host.replace("127.0.0.1", "localhost"), path).method(Method::POST);
    let request = request.header("content-type", "application/json");
    let request = request.header("authorization", format!("Bearer {}", service.token()));
    let request = request.body(Bytes::from_static(b"{}")).unwrap();
    assert_eq!(line.send(&request).await.status, StatusCode::OK);

    copy(&new, dir.path());
    shows_soon(&service, &new).await;
    assert!(!shows(&service, &old).await, "the old one is not shown any more");
    assert_eq!(line.send(&request).await.status, StatusCode::OK, "who was connected stays so");

    // Its own command line knows the service by its certificate, and is told of the new one.
    let list = ended(on(&service, &["list"])).await;
    assert_eq!(list.code, Some(0), "{}", list.stderr);
}

#[tokio::test]
async fn a_link_that_leads_to_others_is_taken_up() {
    let (dir, old, new) = (tempfile::tempdir().unwrap(), localhost(), localhost());
    for (version, certificate) in [("..1", &old), ("..2", &new)] {
        fs::create_dir(dir.path().join(version)).unwrap();
        copy(certificate, &dir.path().join(version));
    }
    symlink("..1", dir.path().join("..data")).unwrap();
    for name in ["cert.pem", "key.pem"] {
        symlink(format!("..data/{name}"), dir.path().join(name)).unwrap();
    }
    let service = Service::start_with(serve(dir.path()));
    assert!(shows(&service, &old).await);
    symlink("..2", dir.path().join("..data_tmp")).unwrap();
    fs::rename(dir.path().join("..data_tmp"), dir.path().join("..data")).unwrap();
    fs::remove_dir_all(dir.path().join("..1")).unwrap();
    shows_soon(&service, &new).await;
}

#[tokio::test]
async fn a_pair_at_fault_is_told_and_the_one_before_stays_until_a_good_one_comes() {
    let (dir, old, new) = (tempfile::tempdir().unwrap(), localhost(), localhost());
    copy(&old, dir.path());
    let service = Service::start_with(serve(dir.path()));
    // The certificate of one with the key of the other, then no certificate at all.
    fs::copy(new.file(), dir.path().join("cert.pem")).unwrap();
    service.log_until("cannot be used with the key");
    assert!(shows(&service, &old).await);
    fs::write(dir.path().join("cert.pem"), "nothing").unwrap();
    service.log_until("holds no certificate in PEM");
    assert!(shows(&service, &old).await);
    fs::remove_file(dir.path().join("cert.pem")).unwrap();
    service.log_until("cannot be read");
    assert!(shows(&service, &old).await);
    copy(&new, dir.path());
    shows_soon(&service, &new).await;
}
