! STA/LTA on the absolute samples of each channel: rows "channel,time,value" in, triggers out.
!
!   onsets INPUT OUTPUT STA LTA ON       STA and LTA in samples
!
! A channel triggers once, where the ratio of the averages over the last STA and LTA samples
! first reaches ON; the duration is 0.
program onsets
  implicit none
  integer, parameter :: dp = kind(1d0)
  character(len=512) :: row, input, output, word
  character(len=64) :: channel, before, time
  integer :: nsta, nlta, n, status, first, second
  real(dp) :: on, sample, ratio, sta, lta
  real(dp), allocatable :: held(:)
  logical :: found

  if (command_argument_count() /= 5) stop 2
  call get_command_argument(1, input)
  call get_command_argument(2, output)
  call get_command_argument(3, word); read (word, *) nsta
  call get_command_argument(4, word); read (word, *) nlta
  call get_command_argument(5, word); read (word, *) on
  allocate (held(0:nlta - 1))
  open (10, file=input, status='old', action='read')
  open (11, file=output, status='replace', action='write')
  write (11, '(a)') 'time,duration_s,n_stations,stations,channel,peak'
  read (10, '(a)') row
  before = ''
  do
    read (10, '(a)', iostat=status) row
    if (status /= 0) exit
    first = index(row, ',')
    second = first + index(row(first + 1:), ',')
    channel = row(:first - 1)
    time = row(first + 1:second - 1)
    read (row(second + 1:), *) sample
    if (channel /= before) then
      before = channel
      held = 0
      n = 0
      found = .false.
    end if
    held(mod(n, nlta)) = abs(sample)
    n = n + 1
    if (n < nlta .or. found) cycle
    lta = sum(held) / nlta
    sta = sum(held(modulo([(n - first, first=1, nsta)], nlta))) / nsta
    if (lta <= 0) cycle
    ratio = sta / lta
    if (ratio >= on) then
      found = .true.
      write (11, '(a,",0,1,",a,",",a,",",es24.16)') trim(time), station(channel), trim(channel), ratio
    end if
  end do
  close (11)
contains
  function station(id) result(code)
    character(len=*), intent(in) :: id
    character(len=:), allocatable :: code
    integer :: dot
    dot = index(id, '.')
    code = id(:dot + index(id(dot + 1:), '.') - 1)
  end function station
end program onsets
