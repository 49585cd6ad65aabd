//! The program.

use comet_task_runner::process;

fn main() {
    process::become_launcher_if_asked();
}
