"""Programs that are not Python, as kernels: declared once, run in a sandbox, on every surface.

::

    @program(
        image=None,
        argv=("{peaks}", "--least", "{least}", "{waveforms}", "{result}"),
        files={"peaks": File("/opt/site/bin/peaks", sha256="9f86d0...")},
        reads={"waveforms": "text/csv"},
        writes={"result": "text/csv"},
        per="channel",
    )
    def peaks(waveforms: Waveforms, *, least: Ratio = 1.0) -> Triggers:
        '''Find where the ground moved most.'''

The function says what goes in and what comes out, and has no body.  Whoever
calls it, in a notebook or through a Call, has the program run: inputs are
written as files, the program sees these and nothing else, and what it wrote is
read as untrusted data are.
"""

from workbench.programs.declaration import program
from workbench.programs.files import File
from workbench.programs.limits import Limits

__all__ = ["File", "Limits", "program"]
