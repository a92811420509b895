//! One memory budget a context: whatever holds state for long reserves from it, and spills when others need the memory.
//!
//! There are two ways to grow. *State* that can go to disk asks with [`Reservation::try_resize`]: if there is no room, the
//! holders of the budget are told to spill, the largest first, and if that does not help, whoever asked spills itself. *Working
//! memory* that a step cannot do without, such as the block that is being written, takes what it needs with
//! [`Reservation::resize`], and the state of others makes room for it. How much of that there is at a time is bounded by the number
//! of threads, so that a run ends, however small the limit is; only a row that is larger than the limit is an error.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::disk::Disk;
use crate::error::{Error, ErrorKind, Result};

/// State that can be written to disk when the memory is needed elsewhere.
pub trait Holder: Send + Sync {
    /// The bytes that spilling would give back, about.
    fn spillable_bytes(&self) -> u64;

    /// Writes state to disk until about `wanted` bytes are given back, or as much as there is.
    ///
    /// It is called on the thread that wants the memory, which may hold a lock of this very holder: what is locked is passed
    /// over, never waited for.
    ///
    /// # Errors
    ///
    /// If the disk cannot be written.
    fn spill(&self, wanted: u64) -> Result<()>;
}

/// The memory that the stateful parts of all runs of a context may hold together, and the disk behind it.
#[derive(Debug, Clone)]
pub struct Budget(Arc<Inner>);

struct Inner {
    limit_bytes: u64,
    used_bytes: AtomicU64,
    holders: Mutex<Vec<Weak<dyn Holder>>>,
    disk: Disk,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Budget")
            .field("limit_bytes", &self.limit_bytes)
            .field("used_bytes", &self.used_bytes)
            .finish_non_exhaustive()
    }
}

impl Budget {
    /// A budget of so many bytes; what exceeds it goes to `disk`.
    pub fn new(limit_bytes: u64, disk: Disk) -> Budget {
        let (used_bytes, holders) = (AtomicU64::new(0), Mutex::default());
        Budget(Arc::new(Inner { limit_bytes, used_bytes, holders, disk }))
    }

    /// The limit in bytes.
    pub fn limit_bytes(&self) -> u64 {
        self.0.limit_bytes
    }

    /// What is reserved at the moment, in bytes.
    pub fn used_bytes(&self) -> u64 {
        self.0.used_bytes.load(Ordering::Relaxed)
    }

    /// Where holders spill to.
    pub fn disk(&self) -> &Disk {
        &self.0.disk
    }

    /// From now on `holder` is told to spill when memory is short, for as long as it lives.
    pub fn register(&self, holder: Weak<dyn Holder>) {
        let mut holders = self.0.holders.lock().unwrap_or_else(PoisonError::into_inner);
        holders.retain(|holder| holder.strong_count() > 0);
        holders.push(holder);
    }

    /// A reservation of nothing, to grow later.
    pub fn reservation(&self) -> Reservation {
        Reservation { budget: self.clone(), bytes: 0 }
    }

    /// The bytes of a share of the limit: the part that one of `of` equals may fill before it spills, whatever else is free.
    pub fn share(&self, of: usize) -> usize {
        usize::try_from(self.limit_bytes() / of.max(1) as u64).unwrap_or(usize::MAX)
    }

    /// Refuses a row that no spilling can make fit.
    ///
    /// # Errors
    ///
    /// If `bytes` is more than the limit.
    pub fn check_row(&self, bytes: usize) -> Result<()> {
        if bytes as u64 <= self.limit_bytes() {
            return Ok(());
        }
        let message = format!(
            "one row, or all values of one key, take {bytes} bytes, and the memory limit is {}",
            self.limit_bytes()
        );
        Err(Error::new(ErrorKind::Memory, message)
            .hint("raise the limit with --memory or GRISTMILL_MEMORY, or make the row smaller"))
    }

    /// State that is smaller is not worth a block on disk, and is held in any case.
    pub fn least_spill_bytes(&self) -> usize {
        const MOST: usize = 64 << 10;
        self.share(4096).min(MOST)
    }

    fn free_bytes(&self) -> u64 {
        self.limit_bytes().saturating_sub(self.used_bytes())
    }

    fn add(&self, bytes: u64) -> bool {
        let used = self.0.used_bytes.fetch_add(bytes, Ordering::Relaxed);
        if used.saturating_add(bytes) <= self.0.limit_bytes {
            return true;
        }
        self.0.used_bytes.fetch_sub(bytes, Ordering::Relaxed);
        false
    }

    /// Tells holders to spill, the largest first, until `wanted` bytes are free or nobody can give more.
    #[cold]
    fn make_room(&self, wanted: u64) -> Result<()> {
        let holders: Vec<_> = {
            let holders = self.0.holders.lock().unwrap_or_else(PoisonError::into_inner);
            holders.iter().filter_map(Weak::upgrade).collect()
        };
        let mut holders: Vec<_> =
            holders.into_iter().map(|holder| (holder.spillable_bytes(), holder)).collect();
        holders.sort_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
        for (_, holder) in holders.iter().take_while(|(bytes, _)| *bytes > 0) {
            let free = self.free_bytes();
            if free >= wanted {
                break;
            }
            holder.spill(wanted - free)?;
        }
        Ok(())
    }
}

/// A part of a [`Budget`], given back when it is dropped.
#[derive(Debug)]
pub struct Reservation {
    budget: Budget,
    bytes: u64,
}

impl Reservation {
    /// Sets the reservation to `bytes`, at the cost of what others can spill if need be; false, and nothing changes, if there is
    /// no room even so.
    ///
    /// # Errors
    ///
    /// If a holder fails to spill.
    pub fn try_resize(&mut self, bytes: u64) -> Result<bool> {
        if self.try_resize_free(bytes) {
            return Ok(true);
        }
        self.budget.make_room(bytes - self.bytes)?;
        Ok(self.try_resize_free(bytes))
    }

    /// As [`Reservation::try_resize`], but at nobody's cost.
    pub fn try_resize_free(&mut self, bytes: u64) -> bool {
        if bytes > self.bytes && !self.budget.add(bytes - self.bytes) {
            return false;
        }
        if bytes < self.bytes {
            self.budget.0.used_bytes.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
        true
    }

    /// Sets the reservation to `bytes` in any case: working memory that a step cannot do without. Others make room if they can.
    ///
    /// # Errors
    ///
    /// If a holder fails to spill.
    pub fn resize(&mut self, bytes: u64) -> Result<()> {
        if !self.try_resize(bytes)? {
            self.budget.0.used_bytes.fetch_add(bytes - self.bytes, Ordering::Relaxed);
            self.bytes = bytes;
        }
        Ok(())
    }

    /// Gives `bytes` of this reservation to another one, which takes what is missing as working memory.
    ///
    /// # Errors
    ///
    /// If a holder fails to spill.
    pub fn transfer(&mut self, bytes: u64) -> Result<Reservation> {
        let given = bytes.min(self.bytes);
        self.bytes -= given;
        let mut other = Reservation { budget: self.budget.clone(), bytes: given };
        other.resize(bytes)?;
        Ok(other)
    }

    /// Adds another reservation on the same budget to this one.
    pub fn merge(&mut self, mut other: Reservation) {
        self.bytes += std::mem::take(&mut other.bytes);
    }

    /// Another reservation of nothing on the same budget.
    pub fn split_off(&self) -> Reservation {
        self.budget.reservation()
    }

    /// The bytes reserved.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The budget that it is a part of.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.0.used_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reservation_is_bounded_and_given_back() {
        let budget = Budget::new(100, Disk::in_temp());
        let mut first = budget.reservation();
        assert!(first.try_resize(80).unwrap());
        let mut second = budget.reservation();
        assert!(!second.try_resize(21).unwrap());
        assert!(second.try_resize(20).unwrap());
        assert!(first.try_resize(10).unwrap());
        assert_eq!(budget.used_bytes(), 30);
        second.resize(200).unwrap();
        assert_eq!(budget.used_bytes(), 210);
        assert!(!first.try_resize_free(11));
        drop((first, second));
        assert_eq!(budget.used_bytes(), 0);
    }

    #[test]
    fn a_row_beyond_the_limit_says_how_much_it_needs() {
        let budget = Budget::new(100, Disk::in_temp());
        budget.check_row(100).unwrap();
        let error = budget.check_row(101).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Memory);
        assert!(error.to_string().contains("101 bytes, and the memory limit is 100"), "{error}");
    }

    /// Holds one reservation and drops it when told.
    struct Held(Mutex<Reservation>);

    impl Holder for Held {
        fn spillable_bytes(&self) -> u64 {
            self.0.try_lock().map_or(0, |held| held.bytes())
        }

        fn spill(&self, _wanted: u64) -> Result<()> {
            self.0.try_lock().map_or(Ok(()), |mut held| held.resize(0))
        }
    }

    #[test]
    fn the_largest_holder_makes_room() {
        let budget = Budget::new(100, Disk::in_temp());
        let holders = [30, 60].map(|bytes| {
            let mut reservation = budget.reservation();
            assert!(reservation.try_resize_free(bytes));
            let held = Arc::new(Held(Mutex::new(reservation)));
            let holder: Arc<dyn Holder> = held.clone();
            budget.register(Arc::downgrade(&holder));
            held
        });
        let mut wanted = budget.reservation();
        assert!(wanted.try_resize(50).unwrap());
        assert_eq!(budget.used_bytes(), 30 + 50, "the larger one has given up, and that was enough");
        // What is locked is passed over.
        let locked = holders[0].0.lock().unwrap();
        assert!(!wanted.try_resize(90).unwrap());
        drop(locked);
        assert!(wanted.try_resize(90).unwrap());
        assert_eq!(budget.used_bytes(), 90);
    }
}
