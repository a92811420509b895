//! Encoded bytes on their way to a file: in memory as long as there is room, on disk beyond that.
//!
//! A writer encodes a split in the task that reads it, and files are written in the order of the splits. What waits for its turn is not
//! state that others could be told to spill; it takes what memory is free, and no more.

use std::fmt;

use bytes::Bytes;
use parquet::arrow::arrow_writer::{PageKey, PageStore, PageStoreArgs, PageStoreFactory};
use parquet::errors::ParquetError;

use super::disk::Extent;
use super::memory::{Budget, Reservation};
use crate::error::{Error, ErrorKind, Result};

/// Pieces of bytes, each of which is taken back once.
pub struct Pages {
    pages: Vec<Page>,
    reservation: Reservation,
}

enum Page {
    Memory(Bytes),
    Disk(Extent),
    Taken,
}

impl Pages {
    /// No pages.
    pub fn new(budget: &Budget) -> Pages {
        Pages { pages: Vec::new(), reservation: budget.reservation() }
    }

    /// The number of pages.
    pub fn len(&self) -> usize {
        self.pages.len()
    }

    /// Keeps a page, and returns its number.
    ///
    /// # Errors
    ///
    /// If there is no room in memory, and the disk cannot be written.
    pub fn put(&mut self, page: Bytes) -> Result<usize> {
        let page = if self.reservation.try_resize_free(self.reservation.bytes() + page.len() as u64) {
            Page::Memory(page)
        } else {
            Page::Disk(self.reservation.budget().disk().write(&page)?)
        };
        self.pages.push(page);
        Ok(self.pages.len() - 1)
    }

    /// Takes a page back.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or has been taken before.
    pub fn take(&mut self, number: usize) -> Result<Bytes> {
        let page =
            self.pages.get_mut(number).map_or(Page::Taken, |page| std::mem::replace(page, Page::Taken));
        match page {
            Page::Memory(page) => {
                self.reservation.resize(self.reservation.bytes() - page.len() as u64)?;
                Ok(page)
            }
            Page::Disk(extent) => extent.read().map(Bytes::from),
            Page::Taken => Err(Error::new(ErrorKind::Internal, "a page was taken twice")),
        }
    }
}

/// Makes [`Pages`] for the columns of row groups.
pub struct ColumnPages(Budget);

impl ColumnPages {
    /// Pages that take their memory from `budget`.
    pub fn new(budget: &Budget) -> ColumnPages {
        ColumnPages(budget.clone())
    }
}

impl fmt::Debug for ColumnPages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ColumnPages").finish_non_exhaustive()
    }
}

impl PageStoreFactory for ColumnPages {
    fn create(&self, _column: &PageStoreArgs<'_>) -> std::result::Result<Box<dyn PageStore>, ParquetError> {
        Ok(Box::new(Pages::new(&self.0)))
    }
}

/// What it holds in memory is reserved already, so that [`PageStore::memory_size`] stays 0.
impl PageStore for Pages {
    fn put(&mut self, page: Bytes) -> std::result::Result<PageKey, ParquetError> {
        Pages::put(self, page).map(|number| PageKey::new(number as u64)).map_err(external)
    }

    fn take(&mut self, key: PageKey) -> std::result::Result<Bytes, ParquetError> {
        Pages::take(self, key.get() as usize).map_err(external)
    }
}

fn external(error: Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}

#[cfg(test)]
mod tests {
    use super::super::disk::Disk;
    use super::*;

    #[test]
    fn pages_beyond_the_memory_go_to_disk_and_come_back_once() {
        let budget = Budget::new(250, Disk::in_temp());
        let mut pages = Pages::new(&budget);
        let page = |n: u8| Bytes::from(vec![n; 100]);
        let numbers: Vec<usize> = (0..5).map(|n| pages.put(page(n)).unwrap()).collect();
        assert_eq!((pages.len(), budget.used_bytes(), budget.disk().used_bytes()), (5, 200, 300));
        for &number in numbers.iter().rev() {
            assert_eq!(pages.take(number).unwrap(), page(number as u8));
        }
        assert_eq!((budget.used_bytes(), budget.disk().used_bytes()), (0, 0));
        assert_eq!(pages.take(0).unwrap_err().kind(), ErrorKind::Internal);
    }
}
