//! A value that is shared by counting, in static memory.

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::ops::Deref;
use core::sync::atomic::{AtomicU32, Ordering};

use crate::sys;

/// A place in static memory for one value at a time. What `Arc` does on a heap: the value is dropped
/// with the last [`Shared`] of it, and then the place can be filled again.
pub struct Place<T> {
    /// How many [`Shared`] there are: 0 if the place is empty.
    count: AtomicU32,
    /// How many values there have been, to tell them apart.
    fills: AtomicU32,
    value: UnsafeCell<MaybeUninit<T>>,
}

/// The value is being put in, or dropped.
const BUSY: u32 = u32::MAX;

// SAFETY: the value is only reached through `Shared`, which give no more than references to it.
unsafe impl<T: Send + Sync> Sync for Place<T> {}

impl<T> Place<T> {
    /// An empty place.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            count: AtomicU32::new(0),
            fills: AtomicU32::new(0),
            value: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }

    /// The place for oneself, to be filled. `None` if there is a value.
    pub(crate) fn claim(&'static self) -> Option<Claim<T>> {
        let (acquire, relaxed) = (Ordering::Acquire, Ordering::Relaxed);
        while let Err(count) = self.count.compare_exchange(0, BUSY, acquire, relaxed) {
            if count != BUSY {
                return None;
            }
            // Its last value is being dropped on a thread that may have a lower priority.
            sys::wss_port_sleep_ms(1);
        }
        Some(Claim(self))
    }
}

/// An empty [`Place`] that nobody else can fill. Dropping it leaves the place empty.
pub(crate) struct Claim<T: 'static>(&'static Place<T>);

impl<T> Claim<T> {
    /// Puts in what `make` makes.
    pub fn fill(self, make: impl FnOnce() -> T) -> Shared<T> {
        let place = self.0;
        core::mem::forget(self);
        // SAFETY: as long as it is busy, nobody else touches the value.
        unsafe { (*place.value.get()).write(make()) };
        place.fills.fetch_add(1, Ordering::Relaxed);
        place.count.store(1, Ordering::Release);
        Shared(place)
    }
}

impl<T> Drop for Claim<T> {
    fn drop(&mut self) {
        self.0.count.store(0, Ordering::Release);
    }
}

impl<T> Default for Place<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// A share in the value of a [`Place`].
pub struct Shared<T: 'static>(&'static Place<T>);

impl<T> Shared<T> {
    /// What does not keep the value.
    #[must_use]
    pub fn downgrade(&self) -> WeakShared<T> {
        WeakShared(self.0, self.0.fills.load(Ordering::Relaxed))
    }

    /// The share as a pointer, that keeps the value until [`from_raw`](Self::from_raw).
    pub(crate) fn into_raw(self) -> *const () {
        let place: *const Place<T> = self.0;
        core::mem::forget(self);
        place.cast()
    }

    /// # Safety
    /// It comes from [`into_raw`](Self::into_raw), which one of these undoes.
    pub(crate) const unsafe fn from_raw(place: *const ()) -> Self {
        // SAFETY: places are static.
        Self(unsafe { &*place.cast() })
    }

    /// # Safety
    /// It comes from [`into_raw`](Self::into_raw), and is kept for as long as the value is used.
    pub(crate) unsafe fn borrow_raw<'a>(place: *const ()) -> &'a T {
        let place: *const Place<T> = place.cast();
        // SAFETY: places are static.
        let place = unsafe { &*place };
        // SAFETY: a value is there for as long as it is shared.
        let value = unsafe { &*place.value.get() };
        // SAFETY: a value is there for as long as it is shared.
        unsafe { value.assume_init_ref() }
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        // This one keeps the value meanwhile.
        self.0.count.fetch_add(1, Ordering::Relaxed);
        Self(self.0)
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: a value is there for as long as it is shared.
        let value = unsafe { &*self.0.value.get() };
        // SAFETY: as before: it is initialised.
        unsafe { value.assume_init_ref() }
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        let count = &self.0.count;
        // Not 0 at once: the place is to be filled again only after the value was dropped.
        let last = |count| Some(if count == 1 { BUSY } else { count - 1 });
        if count.fetch_update(Ordering::AcqRel, Ordering::Relaxed, last) == Ok(1) {
            // SAFETY: nobody shares it any more, and while it is busy nobody will.
            let value = unsafe { &mut *self.0.value.get() };
            // SAFETY: it was initialised, and is dropped once.
            unsafe { value.assume_init_drop() };
            count.store(0, Ordering::Release);
        }
    }
}

/// Finds a value of a [`Place`] as long as there is a [`Shared`] of it, but no later value there.
pub struct WeakShared<T: 'static>(&'static Place<T>, u32);

impl<T> WeakShared<T> {
    /// A share in the value, if there is one.
    #[must_use]
    pub fn upgrade(&self) -> Option<Shared<T>> {
        let more = |count| (count != 0 && count != BUSY).then(|| count + 1);
        let found = self
            .0
            .count
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, more);
        // A share that is not the value's is given up again.
        let shared = found.ok().map(|_| Shared(self.0))?;
        let fills = self.0.fills.load(Ordering::Relaxed);
        (fills == self.1).then_some(shared)
    }
}
