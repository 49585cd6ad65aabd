//! The calls about kept profiles: a page of them, and the removal of one.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use tonic::Status;

use super::{
    convert::timestamp,
    status::{self, Violation},
    v1,
};
use crate::runner::{self, KnownProfile, ProfileKey, Runner};

/// Profiles of a page when none is asked for: a screenful or two.
const PAGE_DEFAULT: usize = 100;
/// Most profiles of a page: the files of each are read.
const PAGE_MAX: usize = 1000;

pub(super) async fn list(
    runner: &Runner,
    request: &v1::ListProfilesRequest,
) -> Result<v1::ListProfilesResponse, Status> {
    let invalid = |violation| status::invalid(&[violation]);
    let limit = page_size(request.page_size).map_err(invalid)?;
    let after = after(&request.page_token).map_err(invalid)?;
    let page = runner.profiles(after, limit).await.map_err(|error| status::profile(&error))?;
    let last = page.profiles.last().filter(|_| page.has_more);
    Ok(v1::ListProfilesResponse {
        next_page_token: last.map(|last| page_token(&last.key)).unwrap_or_default(),
        profiles: page.profiles.iter().map(v1::Profile::from).collect(),
    })
}

pub(super) async fn remove(
    runner: &Runner,
    request: v1::RemoveProfileRequest,
) -> Result<v1::RemoveProfileResponse, Status> {
    runner::profile(&request.name)
        .map_err(|error| status::invalid(&[Violation::new("name", "PROFILE_INVALID", error.to_string())]))?;
    let browser = (!request.browser.is_empty()).then_some(request.browser);
    let removed = runner.remove_profile(browser, request.name).await.map_err(|error| status::profile(&error))?;
    Ok(v1::RemoveProfileResponse { profile: Some(v1::Profile::from(&removed)) })
}

impl From<&KnownProfile> for v1::Profile {
    fn from(profile: &KnownProfile) -> Self {
        Self {
            name: profile.key.name.clone(),
            browser: profile.key.browser.clone(),
            size_bytes: profile.size_bytes,
            last_used_at: Some(timestamp(profile.last_used_at)),
            task_id: profile.task_id.map(|id| id.to_string()).unwrap_or_default(),
            waiting_count: u32::try_from(profile.waiting_count).unwrap_or(u32::MAX),
        }
    }
}

fn page_size(asked: i32) -> Result<usize, Violation> {
    match usize::try_from(asked) {
        Ok(0) => Ok(PAGE_DEFAULT),
        Ok(size) => Ok(size.min(PAGE_MAX)),
        Err(_) => Err(Violation::new("page_size", "PAGE_SIZE_INVALID", "is negative; give 0 for the default")),
    }
}

/// The last one of a page says where the next one begins; neither name has a slash.
fn page_token(key: &ProfileKey) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(format!("{}/{}", key.browser, key.name))
}

fn after(token: &str) -> Result<Option<ProfileKey>, Violation> {
    if token.is_empty() {
        return Ok(None);
    }
    let text = BASE64_URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let key = text.as_deref().and_then(|text| text.split_once('/'));
    key.map(|(browser, name)| Some(ProfileKey { browser: browser.to_owned(), name: name.to_owned() })).ok_or_else(
        || Violation::new("page_token", "PAGE_TOKEN_INVALID", "is none of this call's; begin with the first page"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_token_gives_back_the_last_key_and_other_text_is_refused() {
        let key = ProfileKey { browser: "chrome".to_owned(), name: "work".to_owned() };
        assert_eq!(after(&page_token(&key)), Ok(Some(key)));
        assert_eq!(after(""), Ok(None));
        for text in ["work", "??", "Y2hyb21l"] {
            assert_eq!(after(text).unwrap_err().reason, "PAGE_TOKEN_INVALID", "{text}");
        }
    }
}
