//! What is made of the definitions of the arguments: help, completions, manual pages.

use std::{fs, process::Stdio};

use tokio::io::AsyncWriteExt;

use super::{super::service::Service, ended, on, program};

/// The verbs that the help of the program lists.
async fn verbs() -> Vec<String> {
    let help = ended(program(&["--help"])).await.stdout;
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let verbs: Vec<_> = lines
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .filter(|verb| verb != "help")
        .collect();
    assert!(verbs.len() > 15 && verbs.contains(&"run".to_owned()), "{help}");
    verbs
}

#[tokio::test]
async fn every_verb_has_completions_in_every_shell() {
    let verbs = verbs().await;
    for shell in ["bash", "zsh", "fish"] {
        let script = ended(program(&["completions", shell])).await;
        assert_eq!((script.code, script.stderr.as_str()), (Some(0), ""));
        for verb in &verbs {
            assert!(script.stdout.contains(verb.as_str()), "{shell} completes no {verb}");
        }
        assert!(script.stdout.contains("--parallel") || script.stdout.contains("-l parallel"), "{shell}");
    }
    let script = ended(program(&["completions", "bash"])).await.stdout;
    let mut bash = tokio::process::Command::new("bash");
    let ask = "COMP_WORDS=(comet-task-runner reru); COMP_CWORD=1; _comet__task__runner comet-task-runner reru comet-task-runner; echo \"${COMPREPLY[@]}\"";
    let mut child = bash.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(format!("{script}\n{ask}\n").as_bytes()).await.unwrap();
    drop(stdin);
    let said = String::from_utf8(child.wait_with_output().await.unwrap().stdout).unwrap();
    assert_eq!(said.trim(), "rerun");
    assert_eq!(ended(program(&["completions", "cmd"])).await.code, Some(2));
}

#[tokio::test]
async fn every_verb_has_a_manual_page_with_its_exit_codes() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("man1");
    let end = ended(program(&["man", dir.to_str().unwrap()])).await;
    assert_eq!(end.code, Some(0), "{end:?}");
    for verb in verbs().await.iter().map(|verb| format!("-{verb}")).chain([String::new()]) {
        let page = fs::read_to_string(dir.join(format!("comet-task-runner{verb}.1"))).unwrap();
        assert!(page.contains(".TH comet\\-task\\-runner") || page.contains(".TH comet-task-runner"), "{page}");
        assert!(page.contains("no service could be reached or started"), "{verb}: {page}");
    }
    let file = home.path().join("file");
    fs::write(&file, "").unwrap();
    let end = ended(program(&["man", file.to_str().unwrap()])).await;
    assert!(end.code == Some(2) && end.stderr.contains("cannot be written"), "{end:?}");
}

#[tokio::test]
async fn what_lies_where_can_be_had_as_json() {
    let service = Service::start();
    let token = ended(on(&service, &["token", "--json"])).await.json();
    assert_eq!(token[0]["token"], service.token());
    let path = ended(on(&service, &["token", "--path", "--json"])).await.json();
    assert_eq!(path[0]["path"], service.state_dir().join("token").to_str().unwrap());
}
