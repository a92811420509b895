//! An open-addressing table whose slots lie in the order of the hash.
//!
//! The upper bits of the hash are the index and collisions go to the next free slot, without wrapping round: some
//! spare slots follow the last one. What has a hash in some range therefore lies in the slots of that range, or in
//! the run of used slots that follows it.

use std::io;
use std::marker::PhantomData;
use std::ptr;

use crate::Outcome;

/// What lies in a slot. All zeros must be a valid, free entry.
///
/// # Safety
///
/// The table makes entries of zeroed memory.
pub unsafe trait Entry: Copy {
    fn hash(&self) -> u64;
    fn is_free(&self) -> bool;
}

/// Slots behind the last index. A run of so many used slots does not happen at the loads that we allow.
const SPARE: usize = 4096;
/// A huge page, the least that is worth one.
const HUGE_PAGE: usize = 2 << 20;

pub struct Table<E> {
    slots: Pages<E>,
    /// The index has so many bits; the upper `skip` bits of the hash, common to all entries, are not among them.
    bits: u32,
    skip: u32,
    used: usize,
}

impl<E: Entry> Table<E> {
    /// A table of `2^bits` slots for entries whose hashes agree in their upper `skip` bits.
    pub fn new(bits: u32, skip: u32) -> Outcome<Table<E>> {
        Ok(Table { slots: Pages::zeroed((1 << bits) + SPARE)?, bits, skip, used: 0 })
    }

    pub fn len(&self) -> usize {
        self.used
    }

    /// Makes room for `more` new entries, so that adding them is nothing but writing a slot.
    pub fn reserve(&mut self, more: usize) -> Outcome<()> {
        while self.used + more > (1 << self.bits) / 4 * 3 {
            let mut larger = Table::<E>::new(self.bits + 1, self.skip)?;
            for entry in self.slots_from(0).filter(|entry| !entry.is_free()) {
                let slot = larger.slot(entry.hash(), Entry::is_free);
                // SAFETY: a slot of the new table, which nobody else knows yet.
                unsafe { slot.write(*entry) };
            }
            larger.used = self.used;
            *self = larger;
        }
        Ok(())
    }

    /// Fetches the cache line where the search for this hash will begin.
    #[inline(always)]
    pub fn prefetch(&self, hash: u64) {
        let slot = self.slots.start.wrapping_add(self.index(hash));
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a prefetch does not access memory as the language sees it, and every x86-64 has it.
        unsafe {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            _mm_prefetch::<_MM_HINT_T0>(slot.cast());
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = slot;
    }

    /// The first slot for this hash whose entry `is_it` accepts; it must accept a free one.
    #[inline(always)]
    fn slot(&self, hash: u64, is_it: impl Fn(&E) -> bool) -> *mut E {
        let mut slot = self.slots.start.wrapping_add(self.index(hash));
        // SAFETY: an index is below 2^bits, SPARE slots follow, and the last of them stays free (see `entry`), so that
        // the search ends there at the latest.
        while !is_it(unsafe { &*slot }) {
            slot = slot.wrapping_add(1);
        }
        slot
    }

    /// The entry of this hash that `is_it` accepts; a new one, made by `new`, where there is none.
    #[inline(always)]
    pub fn entry(&mut self, hash: u64, is_it: impl Fn(&E) -> bool, new: impl FnOnce() -> E) -> &mut E {
        let slot = self.slot(hash, |entry| is_it(entry) || entry.is_free());
        // SAFETY: `slot` points to a slot of this table, which is borrowed mutably here.
        let entry = unsafe { &mut *slot };
        if entry.is_free() {
            self.used += 1;
            *entry = new();
            assert!(slot != self.slots.last(), "thousands of words in a row collide");
        }
        entry
    }

    /// All entries with a hash in part `part` of `2^part_bits` equal parts of the hashes.
    pub fn part(&self, part: u64, part_bits: u32) -> impl Iterator<Item = &E> {
        let is_in = move |entry: &E| upper_bits(entry.hash(), part_bits) == part;
        let first = part.unbounded_shl(64 - part_bits);
        let last = first | u64::MAX.unbounded_shr(part_bits);
        let (start, end) = (self.index(first), self.index(last));
        let within = self.slots_from(start).take(end + 1 - start);
        let after = self.slots_from(end + 1).take_while(|entry| !entry.is_free());
        within.chain(after).filter(move |entry| !entry.is_free() && is_in(entry))
    }

    /// All entries, in no order that means anything.
    pub fn entries(&self) -> impl Iterator<Item = &E> {
        self.slots_from(0).filter(|entry| !entry.is_free())
    }

    /// Frees every slot.
    pub fn clear(&mut self) {
        if self.used > 0 {
            // SAFETY: the slots are ours alone, and a zeroed entry is a free one.
            unsafe { ptr::write_bytes(self.slots.start, 0, self.slots.count) };
            self.used = 0;
        }
    }

    #[inline(always)]
    fn index(&self, hash: u64) -> usize {
        ((hash << self.skip) >> (64 - self.bits)) as usize
    }

    fn slots_from(&self, first: usize) -> impl Iterator<Item = &E> {
        // SAFETY: the slots are initialised (zeroed at least) and borrowed as long as the iterator.
        let slots = unsafe { std::slice::from_raw_parts(self.slots.start, self.slots.count) };
        slots[first..].iter()
    }
}

/// The upper `bits` bits of a hash, which may be none.
pub fn upper_bits(hash: u64, bits: u32) -> u64 {
    hash.unbounded_shr(64 - bits)
}

/// Zeroed memory on huge pages where the system has them: every second access to a large table would miss the
/// translation of an ordinary page, too.
struct Pages<E> {
    mapping: *mut libc::c_void,
    bytes: usize,
    start: *mut E,
    count: usize,
    entries: PhantomData<E>,
}

impl<E> Pages<E> {
    fn zeroed(count: usize) -> Outcome<Pages<E>> {
        let needed = count * size_of::<E>();
        let bytes = if needed < HUGE_PAGE { needed } else { needed.next_multiple_of(HUGE_PAGE) + HUGE_PAGE };
        let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new private mapping at an address of the system's choice touches no memory of ours.
        let mapping = unsafe { libc::mmap(ptr::null_mut(), bytes, access, kind, -1, 0) };
        if mapping == libc::MAP_FAILED {
            return Err(io::Error::last_os_error().into());
        }
        let mut start = mapping.cast::<u8>();
        if needed >= HUGE_PAGE {
            start = start.wrapping_add(start.align_offset(HUGE_PAGE));
            // SAFETY: advice on our own mapping; where it is refused, ordinary pages serve.
            unsafe { libc::madvise(start.cast(), needed.next_multiple_of(HUGE_PAGE), libc::MADV_HUGEPAGE) };
        }
        Ok(Pages { mapping, bytes, start: start.cast(), count, entries: PhantomData })
    }

    fn last(&self) -> *mut E {
        self.start.wrapping_add(self.count - 1)
    }
}

impl<E> Drop for Pages<E> {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and nothing borrows it any more.
        unsafe { libc::munmap(self.mapping, self.bytes) };
    }
}

// SAFETY: the pages are owned like a `Vec`, and shared references only read.
unsafe impl<E: Send> Send for Pages<E> {}
// SAFETY: as above.
unsafe impl<E: Sync> Sync for Pages<E> {}
