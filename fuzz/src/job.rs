//! The order that `config.json` carries to the hook.

use runtime_bridge::job::Job;
use runtime_bridge::report::chain;

/// A job that is read is written as what is read as the same job.
pub fn check(data: &[u8]) {
    let Some(text) = super::text(data) else { return };
    match Job::of(text) {
        Ok(None) => {}
        Ok(Some(job)) => {
            assert_eq!(job.version, Job::VERSION);
            let again = serde_json::json!({ Job::MEMBER: &job }).to_string();
            assert_eq!(
                Job::of(&again).expect("it was written by us").as_ref(),
                Some(&job)
            );
        }
        Err(error) => super::one_line(&chain(&error)),
    }
}
