//! Pages of jobs: cut by count and by bytes, each with the way to the next and to the changes since the first.

use super::{
    convert,
    fingerprint::Fingerprint,
    request::lists::Listing,
    resume::{JobsToken, PageToken},
    status::Violation,
    v1,
};
use crate::{
    job::TaskId,
    ledger::{Ledger, LedgerId, Position, ReadError},
};

/// Bytes of the jobs on a page: half of what clients take in one message by default.
const PAGE_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Jobs that are read from the ledger at once: few enough that large ones do not fill memory before a page is full.
const READ_MAX: usize = 100;

/// A page that is to be read.
pub(super) struct Page {
    listing: Listing,
    list: Fingerprint,
    ledger: LedgerId,
    /// Where the store stood when the first page was begun.
    begun_at: Position,
}

/// The page that a list begins with, or that its token asks for.
pub(super) fn page(mut listing: Listing, token: &str, ledger: &dyn Ledger) -> Result<Page, Vec<Violation>> {
    let list = Fingerprint::of_list(&listing.query);
    // Before anything is read, so that what comes meanwhile is told rather than missed.
    let mut begun_at = *ledger.tail_bell().borrow();
    if !token.is_empty() {
        let fault = |text: &str| vec![Violation::new("page_token", "PAGE_TOKEN_INVALID", text)];
        let token = PageToken::read(token)
            .ok_or_else(|| fault("is not a page token; give the next_page_token of the page before, or none"))?;
        if token.list != list {
            return Err(fault("is of another list; give the same filter, statuses and order, or no token"));
        }
        if token.ledger != ledger.id() {
            return Err(fault("is of another store; begin with the first page"));
        }
        listing.query.after = Some(token.after);
        begun_at = token.begun_at;
    }
    Ok(Page { listing, list, ledger: ledger.id(), begun_at })
}

impl Page {
    /// Reads it. There is a job on it unless it is the last.
    pub(super) async fn read(self, ledger: &dyn Ledger) -> Result<v1::ListJobsResponse, ReadError> {
        let Self { listing, list, ledger: id, begun_at } = self;
        let filter = Fingerprint::of_filter(&listing.query.filter);
        let Filled { jobs, next } = fill(listing, ledger).await?;
        let next = next.map(|after| PageToken { ledger: id, list, after, begun_at }.to_text());
        Ok(v1::ListJobsResponse {
            jobs,
            next_page_token: next.unwrap_or_default(),
            resume_token: JobsToken { ledger: id, filter, position: begun_at }.to_text(),
        })
    }
}

struct Filled {
    jobs: Vec<v1::Job>,
    /// The last job on the page; none when it is the last page.
    next: Option<TaskId>,
}

async fn fill(listing: Listing, ledger: &dyn Ledger) -> Result<Filled, ReadError> {
    let Listing { mut query, page_size } = listing;
    let (mut jobs, mut bytes) = (Vec::new(), 0);
    loop {
        // One more than there is room for, to know whether this is the last page.
        query.limit = (page_size - jobs.len() + 1).min(READ_MAX);
        let read = ledger.list(query.clone()).await?;
        let is_end = read.len() < query.limit;
        for job in read {
            let message = v1::Job::from(&*job);
            let length = convert::length(&message);
            let full = jobs.len() == page_size || bytes + length > PAGE_BYTES_MAX;
            if full && !jobs.is_empty() {
                return Ok(Filled { jobs, next: query.after });
            }
            bytes += length;
            query.after = Some(job.id);
            jobs.push(message);
        }
        if is_end {
            return Ok(Filled { jobs, next: None });
        }
    }
}
