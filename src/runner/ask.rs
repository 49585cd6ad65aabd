//! How one task asks another and waits for the answer, whoever of the two leaves meanwhile.

use tokio::sync::{mpsc, oneshot};

/// Where an answer goes; whoever asked may be gone.
pub(super) type Reply<T> = oneshot::Sender<T>;

/// Asks, and waits for the answer; none when whoever is asked leaves before it answers.
///
/// The end of the channel is waited for beside the answer: what is sent in the very moment in which the receiver goes
/// stays in the channel unread for as long as any sender lives, and with it the way of its answer.
pub(super) async fn ask<A, T>(asks: &mpsc::Sender<A>, ask: impl FnOnce(Reply<T>) -> A) -> Option<T> {
    let (reply, mut answer) = oneshot::channel();
    asks.send(ask(reply)).await.ok()?;
    tokio::select! {
        biased;
        answered = &mut answer => answered.ok(),
        // What was answered before the receiver went is there by now.
        () = asks.closed() => answer.try_recv().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_is_had_and_a_receiver_that_goes_leaves_nobody_waiting() {
        let (asks, mut asked) = mpsc::channel::<(u32, Reply<u32>)>(2);
        let answering = async {
            let (number, reply) = asked.recv().await.unwrap();
            reply.send(number + 1).unwrap();
            // Kept, as what was sent too late is kept by the channel.
            let kept = asked.recv().await.unwrap();
            drop(asked);
            kept
        };
        let asking = async { (ask(&asks, |reply| (6, reply)).await, ask(&asks, |reply| (7, reply)).await) };
        let (answers, kept) = tokio::join!(asking, answering);
        assert_eq!(answers, (Some(7), None));
        assert_eq!(kept.0, 7);
        assert_eq!(ask(&asks, |reply| (8, reply)).await, None);
    }
}
